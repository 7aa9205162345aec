import { randomBytes } from 'node:crypto';
import { inLanes } from './lanes.ts';
import { call } from './rest.ts';

/** Somebody with an account and a session. */
export interface Account {
  id: number;
  token: string;
  /** When the token ends, in milliseconds since 1970. */
  expiresAt: number;
}

/** Sign-ups and logins in progress at once: each costs the server a password hash. */
const TOGETHER = 4;

/** Makes accounts and logs each of them in once. */
export async function makeAccounts(
  url: string,
  count: number,
  onMade: () => void = () => undefined,
): Promise<Account[]> {
  const run = randomBytes(4).toString('hex');
  const accounts: Account[] = [];
  await inLanes(count, TOGETHER, async (number) => {
    accounts.push(await makeAccount(url, `load-${run}-${number}`));
    onMade();
  });
  return accounts;
}

async function makeAccount(url: string, username: string): Promise<Account> {
  const email = `${username}@example.org`;
  const password = randomBytes(12).toString('base64url');
  const { body: user } = await call(url, 'POST', '/users', {
    body: { email, password, username },
  });
  const { body: session } = await call(url, 'POST', '/login', {
    body: { email, password },
  });
  const { id } = user as { id: number };
  const { access_token, expires_in } = session as { access_token: string; expires_in: number };
  return { id, token: access_token, expiresAt: Date.now() + expires_in * 1000 };
}
