import type pg from 'pg';
import type { Config } from './config.ts';
import type { Check, Finding } from './database/check.ts';
import { type SealedColumn, sealedPages } from './mail/resealing.ts';
import { Seal } from './mail/seal.ts';

/** What is encrypted with a key made of `JWT_SECRET` and kept for longer than some minutes. */
export const sealedColumns: readonly SealedColumn[] = [
  {
    what: 'secrets of authenticator apps',
    table: 'totp_secrets',
    key: 'user_id',
    type: 'bigint',
    column: 'secret',
    purpose: 'totp',
    needed: 'true',
  },
  {
    what: 'secrets of webhooks',
    table: 'webhooks',
    key: 'id',
    type: 'uuid',
    column: 'secret',
    purpose: 'webhooks',
    // Its user has been asked for another one.
    needed: `paused is distinct from 'secret'`,
  },
  {
    what: 'earlier secrets of webhooks',
    table: 'webhooks',
    key: 'id',
    type: 'uuid',
    column: 'previous_secret',
    purpose: 'webhooks',
    needed: 'previous_until > now()',
  },
  {
    what: 'waiting mails',
    table: 'mails',
    key: 'id',
    type: 'bigint',
    column: 'content',
    purpose: 'mails',
    needed: 'expires_at > now()',
  },
];

/** How many values of each column are not sealed with the newest secret, and how many of these none opens. */
async function countSealed(
  client: pg.ClientBase,
  { jwtSecrets }: Pick<Config, 'jwtSecrets'>,
): Promise<{ what: string; older: number; unreadable: number }[]> {
  const counts = [];
  for (const column of jwtSecrets.length > 0 ? sealedColumns : []) {
    const seal = new Seal(jwtSecrets, column.purpose);
    const count = { what: column.what, older: 0, unreadable: 0 };
    const query = async (sql: string, bind: unknown[]) =>
      (await client.query<{ key: string; sealed: Buffer }>(sql, bind)).rows;
    for await (const rows of sealedPages(column, query))
      for (const { sealed } of rows) {
        if (seal.isNewest(sealed)) continue;
        if (seal.open(sealed) === undefined) count.unreadable += 1;
        else count.older += 1;
      }
    counts.push(count);
  }
  return counts;
}

async function findUnreadable(client: pg.ClientBase, config: Readonly<Config>): Promise<Finding[]> {
  return (await countSealed(client, config)).flatMap(({ what, unreadable }) =>
    unreadable === 0
      ? []
      : [
          {
            what: `Cannot be read: ${what} (${unreadable}). They were sealed with a value that is no longer in JWT_SECRET. Put it back behind the others.`,
          },
        ],
  );
}

async function hintAtOlder(client: pg.ClientBase, config: Readonly<Config>): Promise<string | undefined> {
  const older = (await countSealed(client, config)).flatMap(({ what, older }) =>
    older > 0 ? [`${what} (${older})`] : [],
  );
  return older.length === 0
    ? undefined
    : `Still sealed with an older value of JWT_SECRET: ${older.join(', ')}. Keep it until there are none.`;
}

export const sealChecks: readonly Check[] = [
  { what: 'sealed secrets', find: findUnreadable, hint: hintAtOlder },
];
