import { parseArgs } from 'node:util';
import { endSecondFactorOf } from '../auth/second-factor.ts';
import { audit } from '../moderation/audit.ts';
import { mailsOf } from './mails.ts';
import type { AdminTask } from './task.ts';

/** Has somebody's logins ask for no code any more: who has lost the app and the recovery codes gets in again. The owner is told. */
export const totpOff: AdminTask = {
  name: 'totp-off',
  does: 'has its logins ask for no code any more',
  usage: 'NAME',
  read(args) {
    const [name, ...more] = parseArgs({ args, allowPositionals: true }).positionals;
    if (name === undefined || more.length > 0) return undefined;
    return async ({ config, db }) => {
      const mails = await mailsOf(config);
      return db.transaction(async (tx) => {
        const { userId, username, wasOn } = await endSecondFactorOf(tx, name, mails);
        if (!wasOn) return `The logins of ${username} ask for no code.`;
        await audit(tx, { action: 'totp_off', actorId: null, userId, reason: '' });
        return `The logins of ${username} ask for no code any more.`;
      });
    };
  },
};
