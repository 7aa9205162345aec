/**
 * `npm run invite -- --uses 5 --expires 30d`: makes an invitation and prints its code. `-- --list`: those that are good.
 * `-- --revoke 7`: ends one.
 */
import { readCommandLine } from '../command-line.ts';
import { type Config, ConfigError, LOCAL_LINK, readConfig } from '../config.ts';
import type { Database } from '../database/connection.ts';
import { main, withDatabase, withModels } from '../database/target.ts';
import { createInvitation, liveInvitations, revokeInvitation } from '../users/invitations.ts';
import { readTask, type Task, USAGE } from './arguments.ts';

async function run(
  task: Task,
  db: Database,
  { linkUrl, publicUrl }: Pick<Config, 'linkUrl' | 'publicUrl'>,
): Promise<number> {
  if ('list' in task) {
    const invitations = await liveInvitations(db.sequelize);
    for (const { id, uses_left, expires_at } of invitations)
      console.log(`${id}: ${uses_left} left, until ${expires_at.toISOString()}`);
    if (invitations.length === 0) console.log('There are no valid invitations.');
    return 0;
  }
  if ('revoke' in task) {
    const found = await revokeInvitation(task.revoke);
    console.log(found ? `Invitation ${task.revoke} has ended.` : `There is no invitation ${task.revoke}.`);
    return found ? 0 : 1;
  }
  const { uses, lifetime } = task.make;
  const { code, id, expiresAt } = await createInvitation(db.sequelize, uses, lifetime);
  console.log(code);
  if (linkUrl !== undefined) console.log(`${linkUrl}/#invitation=${code}`);
  const accounts = uses === 1 ? 'one account' : `${uses} accounts`;
  console.log(
    `Invitation ${id}: ${accounts}, until ${expiresAt.toISOString()}. Its code is not shown again.`,
  );
  if (linkUrl !== undefined && publicUrl === undefined) console.log(LOCAL_LINK);
  return 0;
}

await main(() => {
  const task = readCommandLine(USAGE, readTask);
  return withDatabase(async (databaseUrl) => {
    let config;
    try {
      config = readConfig(process.env);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      console.error(error.message);
      return 78;
    }
    const code = await withModels(databaseUrl, (db) => run(task, db, config));
    if (config.signUp !== 'invite' && 'make' in task)
      console.log(`SIGN_UP is ${config.signUp} here: invitations are asked for where it is invite.`);
    return code;
  });
});
