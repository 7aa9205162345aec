import type pg from 'pg';
import type { Check, Finding } from '../database/check.ts';
import { inWords } from '../text/time-span.ts';

/** How many accounts are sent one by one. */
const TOLD = 20;

/** Whether an account that was renamed or deleted waits for the rest of its posts for longer than it should. */
async function findStuckAccounts(client: pg.ClientBase): Promise<Finding[]> {
  const { rows } = await client.query<{ id: number; kind: string; seconds: number }>(
    `select user_id as id, kind, extract(epoch from now() - worked_at)::integer as seconds
     from account_tasks where worked_at < now() - interval '1 minute' order by worked_at limit ${TOLD}`,
  );
  return rows.map(({ id, kind, seconds }) => ({
    what: `Account ${id} is being ${kind === 'rename' ? 'renamed' : 'deleted'}, and no node has continued for ${inWords(seconds)}.`,
  }));
}

/** Accounts that had two addresses or names when these were compared otherwise, and now have one. */
export async function hintAtAccounts(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ id: number }>(
    `select id from users where email_key like ' %' or username_key like ' %' order by id limit ${TOLD}`,
  );
  return rows.length === 0
    ? undefined
    : `Accounts ${rows.map(({ id }) => id).join(', ')} have the address or the name of another account, but for case or Unicode form. ` +
        'They log in with exactly what they signed up with, until they change it.';
}

export const userChecks: readonly Check[] = [
  { what: 'accounts', find: findStuckAccounts, hint: hintAtAccounts },
];
