import { parseArgs } from 'node:util';
import { createResetLink } from '../auth/reset-link.ts';
import { ConfigError, LOCAL_LINK } from '../config.ts';
import { audit } from '../moderation/audit.ts';
import type { AdminTask } from './task.ts';

/** Prints a link with which somebody chooses a new password: where no mail is sent, or does not arrive. */
export const resetLink: AdminTask = {
  name: 'reset-link',
  does: 'prints a link with which its owner chooses a new password',
  usage: 'NAME',
  read(args) {
    const [name, ...more] = parseArgs({ args, allowPositionals: true }).positionals;
    if (name === undefined || more.length > 0) return undefined;
    return async ({ config: { linkUrl, publicUrl }, db }) => {
      if (linkUrl === undefined)
        throw new ConfigError(
          'PUBLIC_URL must be set: it is where users find the service, and the link leads there',
        );
      return db.transaction(async (tx) => {
        const { userId, username, link } = await createResetLink(tx, name, linkUrl);
        await audit(tx, { action: 'reset_link', actorId: null, userId, reason: '' });
        const lines = [
          link,
          `With this link ${username} chooses a new password, once and within 30 minutes. It is not shown again.`,
          ...(publicUrl === undefined ? [LOCAL_LINK] : []),
        ];
        return lines.join('\n');
      });
    };
  },
};
