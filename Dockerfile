FROM node:24-slim AS base
WORKDIR /app
# With npm, the lock file decides; the workspace's package.json is part of it.
COPY package.json package-lock.json ./
COPY client/package.json client/

FROM base AS build
RUN npm ci --omit=dev
COPY . .
RUN npm run build

# Without the optional dependencies: the embedded PostgreSQL, since a container is given a DATABASE_URL, and what builds the
# page.
FROM base AS production-modules
RUN npm ci --omit=dev --omit=optional && npm cache clean --force

FROM base AS final
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
COPY --from=production-modules /app/node_modules node_modules
# Read by name, and not part of what is compiled: migrations at start, the rest by sequelize-cli.
COPY migrations migrations
COPY seeders seeders
COPY .sequelizerc ./
COPY scripts/sequelize-config.cjs scripts/
COPY --from=build /app/dist dist
# DATA_DIR: what a volume there is made from, which belongs to the user, too.
RUN mkdir data && chown node:node data
USER node
EXPOSE 3000
# A start migrates first, which may take long at a large database. The first success ends this time.
HEALTHCHECK --interval=10s --timeout=3s --start-period=2h --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself and no shell or npm, which would keep SIGTERM to themselves.
CMD ["node", "dist/server/main.js"]
