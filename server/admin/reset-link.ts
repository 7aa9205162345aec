import { parseArgs } from 'node:util';
import { createResetLink } from '../auth/reset-link.ts';
import { audit } from '../moderation/audit.ts';
import type { AdminTask } from './task.ts';

/** Prints a link with which somebody chooses a new password: where no mail is sent, or does not arrive. */
export const resetLink: AdminTask = {
  name: 'reset-link',
  usage: 'NAME',
  read(args) {
    const [name, ...more] = parseArgs({ args, allowPositionals: true }).positionals;
    if (name === undefined || more.length > 0) return undefined;
    return ({ config, db }) =>
      db.transaction(async (tx) => {
        const { userId, username, link } = await createResetLink(tx, name, config.serviceUrl);
        await audit(tx, { action: 'reset_link', actorId: null, userId, reason: '' });
        return `${link}\nWith this link ${username} chooses a new password, once and within 30 minutes. It is not shown again.`;
      });
  },
};
