import { spawn } from 'node:child_process';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { giveTo } from './account.ts';
import type { Accounts } from './accounts.ts';
import { type Binaries } from './binaries.ts';
import { environment } from './cluster.ts';
import { commandOf, identify, signal, waitForExit } from './process.ts';
import { EmbeddedUnavailable } from './unavailable.ts';

/** Recovery after a crash replays the log, so a start may take its time, but not for ever. */
const START_MS = 120_000;
const LOG_LIMIT = 10 * 1024 * 1024;

export interface Launch {
  place: string;
  cluster: string;
  binaries: Binaries;
  accounts: Accounts | undefined;
  settings: Record<string, string>;
}

/** What a running server tells of itself in `postmaster.pid`. */
export interface Postmaster {
  pid: number;
  port: number;
  ready: boolean;
}

/** The server that holds the cluster, if one does; a file left by a dead one counts as nothing. */
export async function runningPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const file = await readPidFile(cluster);
  if (file === undefined || (await identify(file.pid)) === undefined) return undefined;
  return (await isPostmaster(file.pid, cluster)) ? file : undefined;
}

async function readPidFile(cluster: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => undefined);
  const lines = text?.split('\n') ?? [];
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3] ?? 0), ready: lines[7]?.trim() === 'ready' };
}

/** We start it with the cluster's real path, so its command line proves it. Where none can be read, the file must do. */
async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  const command = await commandOf(pid);
  return command === '' ? process.platform === 'win32' : command.includes(`-D ${cluster} `);
}

class PortTaken extends Error {}

/**
 * Starts the server and waits until it takes connections.
 * @param port a fixed one, or undefined for one that is free (the last one if possible)
 * @param onExit called when it ends, for any reason
 */
export async function launch(
  options: Launch,
  port: number | undefined,
  onExit: () => void,
): Promise<Postmaster> {
  const deadline = Date.now() + START_MS;
  for (let clashes = 0; ;) {
    await removeStrayPidFile(options.cluster);
    try {
      return await launchOnce(options, port ?? (await freePort()), deadline, onExit);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      if (error instanceof PortTaken) {
        if (port !== undefined || ++clashes >= 20) throw error;
      } else if (error instanceof Error && error.message.includes('still in use')) {
        // The backends of a postmaster killed with -9 end at their next look at it.
        await sleep(200);
      } else {
        throw error;
      }
    }
  }
}

async function launchOnce(
  { place, cluster, binaries, accounts, settings }: Launch,
  port: number,
  deadline: number,
  onExit: () => void,
): Promise<Postmaster> {
  const logFile = join(place, 'postgres.log');
  const logStart = await logSize(logFile);
  const log = await open(logFile, logStart === 0 ? 'w' : 'a', 0o600);
  await giveTo(accounts?.keeper, logFile);

  const all = { ...DEFAULTS, ...settings };
  const args = ['-D', cluster, '-p', String(port)];
  for (const [name, value] of Object.entries(all)) args.push('-c', `${name}=${value}`);
  // Detached: Ctrl-C in a terminal goes to the whole foreground group, and the database must end after the service.
  // The log is a file and not a pipe, since the server may outlive us.
  const child = spawn(binaries.postgres, args, {
    ...accounts?.server,
    cwd: '/',
    env: environment(),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    windowsHide: true,
  });
  child.unref();
  const failed = new Promise<Error>((resolve) => child.once('error', resolve));
  await log.close();
  if (child.pid === undefined) {
    throw new EmbeddedUnavailable(`PostgreSQL could not be started: ${(await failed).message}`);
  }
  const { pid } = child;

  while (child.exitCode === null && child.signalCode === null) {
    const file = await readPidFile(cluster);
    if (file?.pid === pid && file.ready) {
      child.once('exit', onExit);
      return file;
    }
    if (Date.now() > deadline) {
      await stopPostmaster(pid);
      throw new EmbeddedUnavailable(
        `PostgreSQL was not ready within ${START_MS / 1000} s; its log is ${logFile}`,
      );
    }
    await sleep(20);
  }

  const said = (await readFile(logFile, 'utf8')).slice(logStart).trim();
  if (/could not bind|Address already in use/.test(said))
    throw new PortTaken(`Port ${port} is taken: ${said}`);
  throw new EmbeddedUnavailable(`PostgreSQL ended while starting: ${said} (its log is ${logFile})`);
}

const DEFAULTS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // The log is kept for the day on which the server does not start; errors of statements are the service's to log, and
  // a refused duplicate is no error. So it stays small without a rotation.
  log_min_messages: 'log',
  log_checkpoints: 'off',
};

async function logSize(logFile: string): Promise<number> {
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  return size > LOG_LIMIT ? 0 : size;
}

/**
 * PostgreSQL takes a pid file seriously while any process of its own user has that pid: after a reboot that may be one of
 * ours, and after a kill it may be a zombie, for ever where nobody reaps (node as a container's process 1). It would refuse
 * to start. Backends that outlive their postmaster still protect the cluster: by its shared memory, not by this file.
 */
async function removeStrayPidFile(cluster: string): Promise<void> {
  const file = await readPidFile(cluster);
  if (file === undefined) return;
  const alive = (await identify(file.pid)) !== undefined;
  const command = await commandOf(file.pid);
  if (!alive || (command !== '' && !command.includes('postgres'))) {
    await rm(join(cluster, 'postmaster.pid'), { force: true });
  }
}

/** Ends the server: its sessions are cut off and what is in memory is written; if that hangs, harder. */
export async function stopPostmaster(pid: number): Promise<void> {
  for (const [name, patience] of STEPS) {
    if (!signal(pid, name)) return;
    if (await waitForExit(pid, patience)) return;
  }
}

const STEPS = [
  ['SIGINT', 30_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
] as const;

/**
 * A free port from below the ranges that operating systems take for outgoing connections: the server is restarted on the same
 * port, which a client's connection must not have taken in between.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
