import { setTimeout as sleep } from 'node:timers/promises';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { onDatabase } from '../config/connection-config.ts';
import { type Accounts, accountsFor } from './embedded/accounts.ts';
import { type Binaries, findBinaries, removeOtherBinaries } from './embedded/binaries.ts';
import { ADMIN_PASSWORD, ADMIN_ROLE, ensureCluster, resetPassword } from './embedded/cluster.ts';
import { readPassword } from './embedded/password.ts';
import { DATABASE, ensureServiceRole, SERVICE_PASSWORD, SERVICE_ROLE } from './embedded/service-role.ts';
import { livingOwner, Ownership } from './embedded/owner.ts';
import { preparePlace } from './embedded/place.ts';
import { settle } from './embedded/settle.ts';
import {
  launch,
  runningPostmaster,
  stopPostmaster,
  type Launch,
  type Postmaster,
} from './embedded/postmaster.ts';
import { commandOf, identify, signal, waitForExit } from './embedded/process.ts';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './embedded/unavailable.ts';
import { withClient } from './embedded/upkeep.ts';

export { EmbeddedUnavailable } from './embedded/unavailable.ts';

/** Lines of the log. Each of them has the `pid` of this process already. */
export type EmbeddedLog = (message: string, extra?: { [field: string]: unknown; pid?: never }) => void;

export interface EmbeddedOptions {
  /** The folder in which Tidings keeps its things; the database lives in `postgres` below it. */
  dataDir: string;
  /** PostgreSQL settings beyond the defaults, as `-c` takes them. */
  settings?: Record<string, string>;
  log?: EmbeddedLog;
  /** How long to wait for another Tidings process to leave the folder. */
  patienceMs?: number;
}

/** The addresses of an embedded database. */
export interface EmbeddedUrls {
  /** Of the database as the service uses it: its owner, who is no superuser. */
  readonly url: string;
  /** Of the same database as the cluster's superuser, for tools that make databases of their own. */
  readonly adminUrl: string;
}

/** The addresses are the same for as long as this runs, through restarts of the server. */
export interface EmbeddedPostgres extends EmbeddedUrls {
  /** Of the server at this moment. */
  readonly pid: number;
  /** Stops the server, and lets the folder go. */
  stop(): Promise<void>;
}

/** A database that is always there. */
const MAINTENANCE = 'postgres';
const PATIENCE_MS = 15_000;
const ADOPTION_MS = 60_000;
/** The settings on which it depends whether an acknowledged write is kept. */
const DURABILITY = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' };

/** What ends a fault of the disk, by the code of the system. */
const DISK_FAULTS: Readonly<Record<string, string>> = {
  ENOSPC: 'Its disk is full: make room there.',
  EDQUOT: 'The quota of its disk is used up: make room there.',
  EROFS: 'It must be possible to write there.',
  EACCES: 'It must be possible to write there.',
  EPERM: 'It must be possible to write there.',
};

/**
 * Starts the PostgreSQL that npm installed on data in `<dataDir>/postgres`, making them at the first start, and keeps it
 * running: when it dies it is started again on the same port, so that a pool finds it back.
 *
 * If this process is killed the server lives on; the next start adopts it. One process at a time owns the folder.
 * @throws EmbeddedUnavailable with a message for the operator
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(options);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const remedy = DISK_FAULTS[code];
    if (remedy === undefined) throw error;
    const folder = join(options.dataDir, 'postgres');
    throw new EmbeddedUnavailable(
      `The embedded database in ${folder} cannot be started: ${message}. ${remedy} ${USE_DATABASE_URL}`,
      { cause: error },
    );
  }
}

async function start(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const settings = { ...DURABILITY, ...options.settings };
  const wanted = await accountsFor(options.dataDir); // before the claim, whose owner tells who ran the cluster last
  const place = await preparePlace(options.dataDir, wanted?.server);
  const ownership = await Ownership.claim(place, options.patienceMs ?? PATIENCE_MS);
  try {
    const accounts = wanted && (await settled(place, wanted, log));
    const binaries = await findBinaries(place, accounts);
    const cluster = await ensureCluster(place, binaries, accounts, settings.fsync === 'on');
    const target: Launch = { place, cluster, binaries, accounts, settings };

    let password = await readPassword(place, ADMIN_PASSWORD);
    let postmaster = password === undefined ? undefined : await adopt(target, adminUrlOf(password, 0), log);
    if (postmaster === undefined) await evict(cluster, log);
    await removeOtherBinaries(place, binaries);
    password ??= await resetPassword(place, binaries, accounts);

    const server = new Supervised(target, ownership, log);
    postmaster = await server.start(postmaster);
    const adminUrl = adminUrlOf(password, postmaster.port);
    let url: string;
    try {
      const servicePassword = await ensureServiceRole(
        onDatabase(adminUrl, MAINTENANCE),
        place,
        accounts?.keeper,
      );
      url = urlOf(SERVICE_ROLE, servicePassword, postmaster.port);
    } catch (error) {
      await server.stop();
      throw error;
    }
    log('embedded database is ready', { server_pid: postmaster.pid, port: postmaster.port, folder: place });
    return {
      url,
      adminUrl,
      get pid() {
        return server.pid;
      },
      stop: () => server.stop(),
    };
  } catch (error) {
    await ownership.release();
    throw error;
  }
}

/** Under root, the accounts that the folder and its files belong to from here on. */
async function settled(place: string, accounts: Accounts, log: EmbeddedLog): Promise<Accounts> {
  const { shared, ...rest } = await settle(place, accounts, async () => {
    log('giving the embedded database to another account', { folder: place, ...accounts.server });
    await evict(join(place, 'cluster'), log);
  });
  if (shared !== undefined) log(`embedded database has no account of its own: ${shared}`);
  return rest;
}

/** The addresses of the embedded database that another, living process runs on this folder: for tools, which then leave it alone. */
export async function findEmbedded(dataDir: string): Promise<EmbeddedUrls | undefined> {
  const place = await realpath(join(dataDir, 'postgres')).catch(() => undefined);
  if (place === undefined || (await livingOwner(place)) === undefined) return undefined;
  const deadline = Date.now() + ADOPTION_MS;
  while (Date.now() < deadline && (await livingOwner(place)) !== undefined) {
    const password = await readPassword(place, SERVICE_PASSWORD);
    const adminPassword = await readPassword(place, ADMIN_PASSWORD);
    const postmaster = await runningPostmaster(join(place, 'cluster'));
    if (password !== undefined && adminPassword !== undefined && postmaster?.ready === true) {
      const url = urlOf(SERVICE_ROLE, password, postmaster.port);
      if (await serves(url)) return { url, adminUrl: adminUrlOf(adminPassword, postmaster.port) };
    }
    await sleep(100); // its owner is starting it
  }
  return undefined;
}

/** A running server and who keeps it running. */
class Supervised {
  readonly #target: Launch;
  readonly #ownership: Ownership;
  readonly #log: EmbeddedLog;
  #postmaster: Postmaster | undefined;
  #stopping = false;
  #restarting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(target: Launch, ownership: Ownership, log: EmbeddedLog) {
    this.#target = target;
    this.#ownership = ownership;
    this.#log = log;
  }

  get pid(): number {
    return this.#postmaster?.pid ?? 0;
  }

  async start(adopted: Postmaster | undefined): Promise<Postmaster> {
    process.once('exit', this.#endWithUs);
    this.#postmaster =
      adopted ?? (await launch(this.#target, undefined, () => this.#ended(this.#postmaster?.port)));
    if (adopted !== undefined) void this.#watch(adopted);
    return this.#postmaster;
  }

  /** An adopted server is not a child process, so its end is not signalled and must be polled. */
  async #watch(adopted: Postmaster): Promise<void> {
    while (!this.#stopping) {
      if ((await identify(adopted.pid)) === undefined) {
        this.#ended(adopted.port);
        return;
      }
      await sleep(200, undefined, { ref: false });
    }
  }

  #ended(port: number | undefined): void {
    if (this.#stopping || this.#restarting !== undefined) return;
    this.#log('embedded database died; starting it again', { server_pid: this.pid });
    this.#restarting = this.#restart(port).finally(() => {
      this.#restarting = undefined;
    });
  }

  async #restart(port: number | undefined): Promise<void> {
    for (let pause = 100; !this.#stopping; pause = Math.min(pause * 2, 5_000)) {
      try {
        this.#postmaster = await launch(this.#target, port, () => this.#ended(port));
        this.#log('embedded database runs again', { server_pid: this.pid, port });
        return;
      } catch (error) {
        this.#log('embedded database did not start; trying again', {
          error: error instanceof Error ? error.message : String(error),
        });
        await sleep(pause);
      }
    }
  }

  stop(): Promise<void> {
    this.#stopping = true;
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    await this.#restarting;
    if (this.#postmaster !== undefined) await stopPostmaster(this.#postmaster.pid);
    process.off('exit', this.#endWithUs);
    await this.#ownership.release();
  }

  /** The process ends without having stopped it, on an error or since its time was over: no more can be done than to ask. */
  readonly #endWithUs = () => {
    if (this.#postmaster !== undefined) signal(this.#postmaster.pid, 'SIGINT');
  };
}

/**
 * Takes over the server that a killed Tidings left behind: it is warm, and stopping it would cut off anyone who uses
 * it. Only one of our binaries, whose files are still there, that answers to our password, keeps what it acknowledges as we were
 * told to, and allows as many connections.
 */
async function adopt(
  { cluster, binaries, settings }: Launch,
  url: string,
  log: EmbeddedLog,
): Promise<Postmaster | undefined> {
  const deadline = Date.now() + ADOPTION_MS;
  for (;;) {
    const orphan = await runningPostmaster(cluster);
    if (orphan === undefined || Date.now() > deadline) return undefined;
    if (!(await isRunBy(orphan.pid, binaries))) return undefined;
    if (orphan.ready) {
      const at = new URL(url);
      at.port = String(orphan.port);
      const fits = await isAsWanted(at.href, binaries, settings).catch(() => undefined);
      if (fits === false) return undefined;
      if (fits === true) {
        log('took over the embedded database of a process that was killed', { server_pid: orphan.pid });
        return orphan;
      }
      if (!(await waitForExit(orphan.pid, 1_000))) return undefined; // ready, yet it does not answer
    }
    await sleep(50);
  }
}

/** Whatever still runs on the cluster and can't be adopted. */
async function evict(cluster: string, log: EmbeddedLog): Promise<void> {
  const orphan = await runningPostmaster(cluster);
  if (orphan === undefined) return;
  log('stopping an embedded database that was left behind', { server_pid: orphan.pid });
  await stopPostmaster(orphan.pid);
  if ((await runningPostmaster(cluster)) !== undefined) {
    throw new EmbeddedUnavailable(
      `A PostgreSQL server (pid ${orphan.pid}) holds ${cluster} and can't be stopped.`,
    );
  }
}

function urlOf(role: string, password: string, port: number): string {
  // With all that PG* variables could say: they are about another server.
  return `postgres://${role}:${password}@127.0.0.1:${port}/${DATABASE}?sslmode=disable`;
}

function adminUrlOf(password: string, port: number): string {
  return urlOf(ADMIN_ROLE, password, port);
}

/** Whether these are the binaries of a server: where no command line can be read, its version must do. */
async function isRunBy(pid: number, { postgres }: Binaries): Promise<boolean> {
  const command = await commandOf(pid);
  return command.startsWith(`${postgres} `) || (command === '' && process.platform === 'win32');
}

/** Of the version and with the settings. Files of another version may have taken the place of its own. */
async function isAsWanted(
  url: string,
  { version }: Binaries,
  settings: Record<string, string>,
): Promise<boolean> {
  return withClient(onDatabase(url, MAINTENANCE), async (client) => {
    const current = async (name: string) =>
      (await client.query<{ value: string }>('select current_setting($1) as value', [name])).rows[0]?.value;
    if ((await current('server_version'))?.split(' ')[0] !== version) return false;
    for (const name of Object.keys(DURABILITY)) if ((await current(name)) !== settings[name]) return false;
    return Number(await current('max_connections')) >= Number(settings.max_connections ?? 0);
  });
}

async function serves(url: string): Promise<boolean> {
  return withClient(url, () => Promise.resolve(true)).catch(() => false);
}
