import { chmod, lstat, readdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { canEnter, giveTo, giveTreeTo } from './account.ts';
import { type Accounts, sharedAccounts } from './accounts.ts';
import { processesIn } from './process.ts';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './unavailable.ts';

/** How long what is left of a killed server may take to leave the cluster. Milliseconds. */
const LEAVING_MS = 30_000;

/**
 * Gives the folder of the embedded database and what is in it to its accounts. Cut short, it continues at the next
 * start: the owner of the cluster changes last. Only for the process that has claimed the folder.
 *
 * PostgreSQL's own locks tell apart processes of one user only, so a cluster changes hands after the last process has left it.
 * @param stopServer called before the cluster changes hands
 * @returns the accounts that it has now: a cluster that can't be taken over stays with its owner
 * @throws EmbeddedUnavailable
 */
export async function settle(
  place: string,
  accounts: Accounts,
  stopServer: () => Promise<void>,
): Promise<Accounts> {
  const cluster = join(place, 'cluster');
  const before = await lstat(cluster).catch(() => undefined);
  let settled = accounts;
  if (before !== undefined && before.uid !== accounts.server.uid) {
    await stopServer();
    const obstacle = await obstacleTo(cluster);
    if (obstacle !== undefined && before.uid === 0)
      throw new EmbeddedUnavailable(
        `${cluster} belongs to root and stays so: ${obstacle}. ${USE_DATABASE_URL}`,
      );
    if (obstacle !== undefined) settled = sharedAccounts(before, obstacle);
  }
  const { keeper, server } = settled;
  const own = keeper.uid !== server.uid;
  try {
    // The folder first: its owner of before is locked out of the rest from here on.
    if (own || (await lstat(place)).uid !== keeper.uid) await chmod(place, own ? 0o710 : 0o700);
    await giveTo(keeper, place);
    for (const entry of await readdir(place, { withFileTypes: true })) {
      const path = join(place, entry.name);
      if (entry.name === 'cluster') continue;
      // Root's claim on a cluster that it runs as a lent account stays root's: a user's own cluster has claims of the user.
      if (settled.shared !== undefined && /^(owner|claim)\./.test(entry.name)) continue;
      // None of ours is a link, and one that an account has put here must not lead our own writes elsewhere.
      if (own && entry.isSymbolicLink()) await rm(path);
      else if ((await lstat(path)).uid === keeper.uid) continue;
      else if (entry.isDirectory()) await giveTreeTo(keeper, path);
      else await giveTo(keeper, path);
    }
    if (before !== undefined && settled === accounts && before.uid !== server.uid)
      await giveTreeTo(server, cluster);
  } catch (error) {
    throw new EmbeddedUnavailable(
      `The files in ${place} can't be given to the user (uid ${server.uid}) that PostgreSQL runs as here: ` +
        `${(error as Error).message}. ${USE_DATABASE_URL}`,
      { cause: error },
    );
  }
  if (!canEnter(server, place)) {
    throw new EmbeddedUnavailable(
      `${place} can't be entered by the user (uid ${server.uid}) that PostgreSQL runs as here. ${USE_DATABASE_URL}`,
    );
  }
  return settled;
}

/** Why the cluster can't change hands. */
async function obstacleTo(cluster: string): Promise<string | undefined> {
  for (const path of [cluster, join(cluster, 'pg_wal'), ...(await tablespaces(cluster))]) {
    if ((await lstat(path).catch(() => undefined))?.isSymbolicLink())
      return `${path} is a link, and what it leads to is not ours to give away`;
  }
  const real = await realpath(cluster);
  const deadline = Date.now() + LEAVING_MS;
  for (;;) {
    const [pid] = await processesIn(real);
    if (pid === undefined) return undefined;
    if (Date.now() > deadline) return `the process ${pid} uses ${cluster} and does not end`;
    await sleep(100);
  }
}

async function tablespaces(cluster: string): Promise<string[]> {
  const folder = join(cluster, 'pg_tblspc');
  return (await readdir(folder).catch(() => [])).map((name) => join(folder, name));
}
