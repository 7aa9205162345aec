import { appendFile, chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { giveTreeTo } from '../../server/database/embedded/account.ts';
import { accountsFor } from '../../server/database/embedded/accounts.ts';
import { findBinaries } from '../../server/database/embedded/binaries.ts';
import { preparePlace } from '../../server/database/embedded/place.ts';
import { freePort, launch, stopPostmaster } from '../../server/database/embedded/postmaster.ts';
import { settle } from '../../server/database/embedded/settle.ts';
import { MAX_CONNECTIONS, type Stage, withClient } from './stage.ts';

/**
 * Starts a standby that streams from the server of the bench, until the part ends.
 * @returns the address of the same database there
 */
export async function startStandby(stage: Stage, databaseUrl: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-bench-standby-'));
  stage.after(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755); // as root, the database runs under another account
  const accounts = await accountsFor(folder);
  const place = await preparePlace(folder, accounts?.server);
  if (accounts) await settle(place, accounts, () => Promise.resolve());
  const cluster = join(place, 'cluster');
  await backUp(databaseUrl, cluster);
  await giveTreeTo(accounts?.server, cluster);
  const settings = { max_connections: MAX_CONNECTIONS, fsync: 'off' };
  const target = { place, cluster, binaries: await findBinaries(place, accounts), accounts, settings };
  const port = await freePort();
  const { pid } = await launch(target, port, () => undefined);
  stage.after(() => stopPostmaster(pid));
  return Object.assign(new URL(databaseUrl), { port }).href;
}

/** Copies the files of a running server, as a standby needs them. */
async function backUp(databaseUrl: string, to: string): Promise<void> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  await withClient(databaseUrl, async (client) => {
    const shown = await client.query<{ data_directory: string }>('show data_directory');
    const from = shown.rows[0]?.data_directory ?? '';
    await client.query(`select pg_backup_start('a standby', true)`);
    await cp(from, to, { recursive: true });
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)');
    await writeFile(join(to, 'backup_label'), rows[0]?.labelfile ?? '');
  });
  await rm(join(to, 'postmaster.pid'));
  await writeFile(join(to, 'standby.signal'), '');
  const conninfo = `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}`;
  await appendFile(join(to, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
}
