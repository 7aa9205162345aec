'use strict';

const { existsSync } = require('node:fs');
const path = require('node:path');
const { URL } = require('node:url');

// The database that sequelize-cli works on.
const envFile = path.resolve(__dirname, '../.env');
if (existsSync(envFile)) process.loadEnvFile(envFile);

const url = process.env.DATABASE_URL;
if (!url) {
  throw new Error(
    'DATABASE_URL is not set. For the embedded database use the npm scripts: npm run db:migrate, db:seed:all, …',
  );
}
const sslmode = new URL(url).searchParams.get('sslmode') ?? 'disable';

module.exports = {
  use_env_variable: 'DATABASE_URL',
  dialect: 'postgres',
  // sequelize-cli takes the address apart and forgets its parameters.
  dialectOptions: sslmode === 'disable' ? {} : { ssl: { rejectUnauthorized: sslmode.startsWith('verify') } },
};
