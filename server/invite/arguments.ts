import { parseArgs } from 'node:util';
import { parseDuration } from '../config.ts';
import { LIFETIME, MAX_USES } from '../users/invitations.ts';

export const USAGE = `Usage: npm run invite -- [--uses 1] [--expires 7d]   1 to ${MAX_USES} accounts; 1m to 365d
       npm run invite -- --list
       npm run invite -- --revoke ID`;

/** What the operator asks for. */
export type Task = { make: { uses: number; lifetime: number } } | { list: true } | { revoke: number };

/** What the arguments of `npm run invite --` ask for; undefined if they are not understood. A lifetime is in milliseconds. */
export function readTask(args: string[]): Task | undefined {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        uses: { type: 'string' },
        expires: { type: 'string' },
        list: { type: 'boolean' },
        revoke: { type: 'string' },
      },
    }));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
  const { uses = '1', expires = '7d', list, revoke } = values;
  const making = values.uses !== undefined || values.expires !== undefined;
  if ([making, list, revoke !== undefined].filter(Boolean).length > 1) return undefined;
  if (list) return { list };
  if (revoke !== undefined) return /^[1-9]\d{0,14}$/.test(revoke) ? { revoke: Number(revoke) } : undefined;
  const lifetime = parseDuration(expires);
  if (!/^[1-9]\d{0,5}$/.test(uses) || Number(uses) > MAX_USES) return undefined;
  if (lifetime === undefined || lifetime < LIFETIME.atLeast || lifetime > LIFETIME.atMost) return undefined;
  return { make: { uses: Number(uses), lifetime } };
}
