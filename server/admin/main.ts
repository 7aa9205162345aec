/** `npm run admin -- grant ada moderator`: what an operator does to accounts. Each task is in a file of its own. */
import { readCommandLine, UsageError } from '../command-line.ts';
import { ConfigError, readConfig } from '../config.ts';
import { main, withDatabase, withModels } from '../database/target.ts';
import { AppError } from '../errors.ts';
import { grant } from './grant.ts';
import { resetLink } from './reset-link.ts';
import { totpOff } from './totp-off.ts';
import type { AdminTask } from './task.ts';

const tasks: readonly AdminTask[] = [grant, resetLink, totpOff];

const usage = [
  ...tasks.map(
    ({ name, usage }, at) => `${at === 0 ? 'Usage:' : '      '} npm run admin -- ${name} ${usage}`,
  ),
  '',
  ...tasks.map(({ name, does }) => `  ${name.padEnd(11)} ${does}`),
].join('\n');

function readTask([name, ...args]: string[]): NonNullable<ReturnType<AdminTask['read']>> {
  const task = tasks.find((one) => one.name === name);
  if (!task) throw new UsageError(name === undefined ? '' : `There is no task '${name}'`);
  const run = task.read(args);
  if (!run) throw new UsageError(`${task.name} wants: ${task.usage}`);
  return run;
}

await main(() => {
  const run = readCommandLine(usage, readTask);
  return withDatabase(async (databaseUrl) => {
    try {
      const config = readConfig(process.env);
      console.log(await withModels(databaseUrl, (db) => run({ config, db })));
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigError) && !(error instanceof AppError)) throw error;
      console.error(error.message);
      return error instanceof ConfigError ? 78 : 1;
    }
  });
});
