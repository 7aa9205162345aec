import { parseArgs } from 'node:util';
import { UsageError } from '../command-line.ts';
import { parseDuration } from '../config.ts';
import { LIFETIME, MAX_USES } from '../users/invitations.ts';

export const USAGE = `Usage: npm run invite -- [--uses N] [--expires DURATION]
       npm run invite -- --list
       npm run invite -- --revoke ID

Makes an invitation and prints its code, which is not shown again; or ends one.

  --uses N            how many accounts may be made with it, 1 to ${MAX_USES} (1)
  --expires DURATION  for how long it is valid, 1m to 365d (7d)
  --list              the invitations that are valid, with their ids
  --revoke ID         ends one`;

/** What the operator asks for. */
export type Task = { make: { uses: number; lifetime: number } } | { list: true } | { revoke: number };

/** What the arguments of `npm run invite --` ask for. A lifetime is in milliseconds. @throws {UsageError} and what `parseArgs` throws */
export function readTask(args: string[]): Task {
  const { values } = parseArgs({
    args,
    options: {
      uses: { type: 'string' },
      expires: { type: 'string' },
      list: { type: 'boolean' },
      revoke: { type: 'string' },
    },
  });
  const { uses = '1', expires = '7d', list, revoke } = values;
  const making = values.uses !== undefined || values.expires !== undefined;
  if ([making, list, revoke !== undefined].filter(Boolean).length > 1)
    throw new UsageError('--list and --revoke stand alone');
  if (list) return { list };
  if (revoke !== undefined) {
    if (!/^[1-9]\d{0,14}$/.test(revoke)) throw new UsageError('--revoke must be the id of an invitation');
    return { revoke: Number(revoke) };
  }
  const lifetime = parseDuration(expires);
  if (!/^[1-9]\d{0,5}$/.test(uses) || Number(uses) > MAX_USES)
    throw new UsageError(`--uses must be a whole number from 1 to ${MAX_USES}`);
  if (lifetime === undefined || lifetime < LIFETIME.atLeast || lifetime > LIFETIME.atMost)
    throw new UsageError('--expires must be a duration from 1m to 365d, such as 12h or 7d');
  return { make: { uses: Number(uses), lifetime } };
}
