'use strict';

const { existsSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

// The database that sequelize-cli works on: the one that the service would use, reached in the same way.
const envFile = path.resolve(__dirname, '../.env');
if (existsSync(envFile)) process.loadEnvFile(envFile);

const url = process.env.DATABASE_URL;
if (!url) {
  throw new Error(
    'DATABASE_URL is not set. For the embedded database use the npm scripts: npm run db:migrate, db:seed:all, …',
  );
}

module.exports = async () => {
  const { refuseTransactionPooling } = await load('database/pooler');
  await refuseTransactionPooling(url);
  const { sequelizeConnection } = await load('database/client');
  const { LOCK_TIMEOUT } = await load('database/lock-retries');
  return sequelizeConnection(url, {
    name: 'tidings sequelize-cli',
    connectTimeout: 10_000,
    // Who waits for a lock makes everyone else wait: give up instead. `npm run db:migrate` tries again by itself.
    settings: { lock_timeout: String(LOCK_TIMEOUT) },
  });
};

/** From the source where TypeScript can be run, and from what was compiled where only the service is installed. */
async function load(name) {
  const source = path.resolve(__dirname, `../server/${name}.ts`);
  const tsx = existsSync(source) ? await import('tsx/esm/api').catch(() => undefined) : undefined;
  return tsx === undefined
    ? import(pathToFileURL(path.resolve(__dirname, `../dist/server/${name}.js`)).href)
    : tsx.tsImport(source, pathToFileURL(__dirname).href);
}
