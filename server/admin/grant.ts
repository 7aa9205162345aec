import { parseArgs } from 'node:util';
import { type Role, roles } from '../../models/index.ts';
import { grantRole } from '../moderation/roles.ts';
import type { AdminTask } from './task.ts';

/** Gives somebody a role. Nobody else can: so the first administrator is made, and each further one. */
export const grant: AdminTask = {
  name: 'grant',
  does: 'gives an account a role',
  usage: `NAME ${roles.join('|')} [--reason TEXT]`,
  read(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { reason: { type: 'string', default: '' } },
    });
    const [name, wanted, ...more] = positionals;
    const role = roles.find((one) => one === wanted);
    const { reason } = values;
    if (name === undefined || role === undefined || more.length > 0 || reason.length > 1000) return undefined;
    return ({ db }) =>
      db.transaction(async (tx) => {
        const { username, before } = await grantRole(tx, name, role, reason);
        if (before === role) return `${username} is ${called(role)} already.`;
        return `${username} is ${called(role)} now, and was ${called(before)}.`;
      });
  },
};

function called(role: Role): string {
  return { user: 'a user', moderator: 'a moderator', admin: 'an administrator' }[role];
}
