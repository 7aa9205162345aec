/** `npm run admin -- grant ada moderator`: what an operator does to accounts. Each task is in a file of its own. */
import { ConfigError, readConfig } from '../config.ts';
import { main, withDatabase, withModels } from '../database/target.ts';
import { AppError } from '../errors.ts';
import { grant } from './grant.ts';
import { resetLink } from './reset-link.ts';
import { totpOff } from './totp-off.ts';
import type { AdminTask } from './task.ts';

const tasks: readonly AdminTask[] = [grant, resetLink, totpOff];

/** What is asked for; undefined if it is not understood. */
function readTask([name, ...args]: string[]): ReturnType<AdminTask['read']> {
  try {
    return tasks.find((task) => task.name === name)?.read(args);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

await main(async () => {
  const run = readTask(process.argv.slice(2));
  if (run === undefined) {
    console.error(
      tasks
        .map(({ name, usage }, at) => `${at === 0 ? 'Usage:' : '      '} npm run admin -- ${name} ${usage}`)
        .join('\n'),
    );
    return 2;
  }
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
