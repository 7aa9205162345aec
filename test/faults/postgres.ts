import { execFile } from 'node:child_process';
import { appendFile, chmod, cp, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { giveTreeTo } from '../../server/database/embedded/account.ts';
import { accountsFor } from '../../server/database/embedded/accounts.ts';
import { findBinaries } from '../../server/database/embedded/binaries.ts';
import { ADMIN_PASSWORD, ADMIN_ROLE, ensureCluster } from '../../server/database/embedded/cluster.ts';
import { readPassword } from '../../server/database/embedded/password.ts';
import { preparePlace } from '../../server/database/embedded/place.ts';
import {
  freePort,
  launch,
  type Launch,
  type Postmaster,
  stopPostmaster,
} from '../../server/database/embedded/postmaster.ts';
import { settle } from '../../server/database/embedded/settle.ts';
import { signal, waitForExit } from '../../server/database/embedded/process.ts';

const execute = promisify(execFile);

/** How long a server takes to vanish after a signal that leaves it no choice. Milliseconds. */
const GONE_WITHIN = 10_000;

/** A file system cannot be mounted here. */
export class CannotMount extends Error {
  override readonly name = 'CannotMount';
}

const MIB = 1024 * 1024;

/**
 * A PostgreSQL server of the harness's own, on one port for its whole life, that nobody restarts but us. It keeps what it
 * acknowledges (synchronous_commit), against everything but a power cut of the machine under it.
 */
export class FaultyPostgres {
  readonly port: number;
  readonly folder: string;
  readonly #launch: Launch;
  readonly #password: string;
  readonly #ownDisk: boolean;
  #postmaster: Postmaster | undefined;
  #frozen: number[] = [];

  private constructor(folder: string, target: Launch, password: string, port: number, ownDisk: boolean) {
    this.folder = folder;
    this.#ownDisk = ownDisk;
    this.#launch = target;
    this.#password = password;
    this.port = port;
  }

  /**
   * @param options.diskMiB gives it a disk of its own, in memory; needs root on Linux. Default: the machine's
   * @throws {CannotMount} where there can be none
   */
  static async start({ diskMiB }: { diskMiB?: number } = {}): Promise<FaultyPostgres> {
    // Not the prefix of the tests' shared server, whose abandoned folders another run clears away.
    const folder = await mkdtemp(join(tmpdir(), 'tidings-faults-postgres-'));
    if (diskMiB !== undefined) await mountDisk(folder, diskMiB);
    await chmod(folder, 0o755);
    const accounts = await accountsFor(folder);
    const place = await preparePlace(folder, accounts?.server);
    if (accounts) await settle(place, accounts, () => Promise.resolve());
    const binaries = await findBinaries(place, accounts);
    const cluster = await ensureCluster(place, binaries, accounts, false);
    const settings = {
      max_connections: '200',
      fsync: 'off',
      synchronous_commit: 'on',
      shared_buffers: '64MB',
    };
    const password = await readPassword(place, ADMIN_PASSWORD);
    if (password === undefined) throw new Error('the cluster has no password');
    const target = { place, cluster, binaries, accounts, settings };
    const postgres = new FaultyPostgres(folder, target, password, await freePort(), diskMiB !== undefined);
    await postgres.up();
    return postgres;
  }

  /** The URL of one of its databases, at its own port or at a proxy's. */
  url(database: string, port = this.port): string {
    return `postgres://${ADMIN_ROLE}:${this.#password}@127.0.0.1:${port}/${database}`;
  }

  /** Starts it again. No harm if it runs. */
  async up(): Promise<void> {
    this.#postmaster ??= await launch(this.#launch, this.port, () => {
      this.#postmaster = undefined;
    });
  }

  /** Ends it as `pg_ctl stop -m immediate` does: without a checkpoint, so that the next start recovers from its log. */
  async down(): Promise<void> {
    await this.#end('SIGQUIT');
  }

  /** `kill -9` of the postmaster; its backends end when they notice. */
  async crash(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops all of its processes where they are, as a machine does that hangs: connections stand, and nothing answers. */
  async freeze(): Promise<void> {
    this.#frozen = await this.#processes();
    for (const pid of this.#frozen) signal(pid, 'SIGSTOP');
  }

  /** Lets them go on. */
  thaw(): void {
    for (const pid of this.#frozen.splice(0)) signal(pid, 'SIGCONT');
  }

  async #processes(): Promise<number[]> {
    const { pid: postmaster } = this.#postmaster ?? {};
    const { stdout } = await execute('ps', ['-A', '-o', 'pid=,ppid=']);
    const all = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number));
    return all
      .filter((pair) => postmaster !== undefined && pair.includes(postmaster))
      .map(([pid = 0]) => pid);
  }

  /** Keeps a copy of the whole cluster, with the server stopped meanwhile, as a cold backup does. */
  async backUp(): Promise<void> {
    await this.stopInOrder();
    await rm(this.#backup, { recursive: true, force: true });
    await cp(this.#launch.cluster, this.#backup, { recursive: true, preserveTimestamps: true });
    await this.up();
  }

  /** Keeps a copy of the whole cluster while the server runs and writes, as a base backup does. */
  async snapshot(): Promise<void> {
    await rm(this.#backup, { recursive: true, force: true });
    const client = new pg.Client({ connectionString: this.url('postgres') });
    await client.connect();
    try {
      await client.query(`select pg_backup_start('snapshot', true)`);
      await cp(this.#launch.cluster, this.#backup, { recursive: true, preserveTimestamps: true });
      const { rows } = await client.query<{ labelfile: string }>(
        'select labelfile from pg_backup_stop(false)',
      );
      // What was written during the copy is needed too, up to the end of the backup.
      const wal = 'pg_wal';
      await cp(join(this.#launch.cluster, wal), join(this.#backup, wal), { recursive: true, force: true });
      await writeFile(join(this.#backup, 'backup_label'), rows[0]?.labelfile ?? '');
      await rm(join(this.#backup, 'postmaster.pid'), { force: true });
    } finally {
      await client.end();
    }
  }

  /** Puts the copy in the place of the cluster. What was written since is gone. */
  async restore(): Promise<void> {
    await this.down();
    await rm(this.#launch.cluster, { recursive: true, force: true });
    await rename(this.#backup, this.#launch.cluster);
    await giveTreeTo(this.#launch.accounts?.server, this.#launch.cluster);
    await this.up();
  }

  /** Leaves nothing of its own disk. */
  async fillDisk(): Promise<void> {
    if (!this.#ownDisk) throw new Error('the disk is not its own');
    const file = await open(this.#ballast, 'w');
    try {
      for (let piece = Buffer.alloc(MIB); piece.length > 0;) {
        try {
          const { bytesWritten } = await file.write(piece);
          if (bytesWritten === 0) break;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          piece = piece.subarray(0, piece.length > 1 ? piece.length >> 4 : 0);
        }
      }
    } finally {
      await file.close();
    }
  }

  /** Gives the room back. */
  async clearDisk(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  /** A second server on a copy of this one's files, at a port of its own. Both run afterwards. */
  copy(): Promise<FaultyPostgres> {
    return this.#second(() => Promise.resolve());
  }

  /** A standby, which streams from this server whenever both run. */
  standby(): Promise<FaultyPostgres> {
    return this.#second(async (cluster) => {
      const conninfo = `host=127.0.0.1 port=${this.port} user=${ADMIN_ROLE} password=${this.#password}`;
      await writeFile(join(cluster, 'standby.signal'), '');
      await appendFile(join(cluster, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
    });
  }

  /** Makes a standby a primary. */
  async promote(): Promise<void> {
    await this.query('postgres', 'select pg_promote()');
  }

  async #second(prepare: (cluster: string) => Promise<void>): Promise<FaultyPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-faults-postgres-'));
    await chmod(folder, 0o755);
    await this.stopInOrder();
    const { accounts } = this.#launch;
    const place = await preparePlace(folder, accounts?.server);
    if (accounts) await settle(place, accounts, () => Promise.resolve());
    const cluster = join(place, 'cluster');
    await cp(this.#launch.cluster, cluster, { recursive: true });
    await prepare(cluster);
    await giveTreeTo(accounts?.server, cluster);
    await this.up();
    const target = { ...this.#launch, place, cluster };
    const other = new FaultyPostgres(folder, target, this.#password, await freePort(), false);
    await other.up();
    return other;
  }

  async stopInOrder(): Promise<void> {
    const pid = this.#postmaster?.pid;
    if (pid !== undefined) await stopPostmaster(pid);
    this.#postmaster = undefined;
  }

  async stop(): Promise<void> {
    await this.stopInOrder();
    if (this.#ownDisk) await execute('umount', [this.folder]);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** One statement on a connection of its own. */
  async query<R extends pg.QueryResultRow>(
    database: string,
    sql: string,
    values: unknown[] = [],
  ): Promise<R[]> {
    const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 5000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<R>(sql, values)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  get #ballast(): string {
    return join(this.folder, 'ballast');
  }

  get #backup(): string {
    return `${this.#launch.cluster}.backup`;
  }

  async #end(name: NodeJS.Signals): Promise<void> {
    const pid = this.#postmaster?.pid;
    if (pid === undefined) return;
    signal(pid, name);
    if (!(await waitForExit(pid, GONE_WITHIN))) throw new Error(`PostgreSQL outlived ${name}`);
    this.#postmaster = undefined;
    // Backends that outlive a killed postmaster still answer on their connections for a moment.
    await pause(50);
  }
}

async function mountDisk(folder: string, mebibytes: number): Promise<void> {
  try {
    await execute('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder]);
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw new CannotMount(`no file system can be mounted here: ${String(cause)}`, { cause });
  }
}
