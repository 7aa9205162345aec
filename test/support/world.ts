import { withDeadline } from '../../client/src/deadline.ts';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { io, type Socket } from 'socket.io-client';
import { readConfig } from '../../server/config.ts';
import type { Context } from '../../server/context.ts';
import type { ClientToServer, HandshakeAuth, ServerToClient } from '../../server/contract.ts';
import { createLogger } from '../../server/logger.ts';
import { type RunningServer, startServer } from '../../server/server.ts';
import { TIME_LIMITS, type TimeLimits } from '../../server/time-limits.ts';
import { type WatchedFrames, watchFrames } from './frames.ts';
import { heldLog } from './held-log.ts';
import { createDatabase, type TestDatabase } from './postgres.ts';

export type TestSocket = Socket<ServerToClient, ClientToServer>;

/** The level at which the log is shown as well. */
const SHOWN = process.env.TEST_LOG_LEVEL;

function readLine(line: string): void {
  heldLog.read(line);
  if (SHOWN !== undefined) process.stdout.write(line);
}

/** A node of the real service in this process, on a database of its own. One at a time: the models are process-global. */
export interface World {
  url: string;
  databaseUrl: string;
  server: RunningServer;
  ctx: Context;
  /** Connections of the test's own to the database. */
  pool: pg.Pool;
  /** Signs somebody up and logs them in. */
  user(username?: string): Promise<TestUser>;
  /** A request without a token. */
  anonymous: Api;
  /**
   * A stock socket with this handshake; it is closed with the world. Not yet connected when this returns. Each frame that
   * the server sends it is held against the AsyncAPI document.
   */
  socket(auth: Partial<HandshakeAuth>): TestSocket;
  /** @throws if a socket was sent a frame that the AsyncAPI document does not tell of */
  close(): Promise<void>;
}

/**
 * @param env what differs from the defaults of a test
 * @param database a migrated one, in place of one on the run's server; it is dropped with the world
 * @param onLog is told each line of the log
 * @param timeLimits that are shorter than those of the service, so that a test need not wait for them
 */
export async function createWorld(
  env: NodeJS.ProcessEnv = {},
  database?: TestDatabase,
  onLog?: (line: string) => void,
  timeLimits: Partial<TimeLimits> = {},
): Promise<World> {
  database ??= await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'tidings-world-'));
  const config = readConfig({
    NODE_ENV: 'test',
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    BCRYPT_COST: '4',
    RATE_LIMITS: 'off',
    LOG_LEVEL: SHOWN ?? 'trace',
    // So that any test can be run without the fast paths.
    FAST_PATHS: process.env.FAST_PATHS,
    ...env,
  });
  const write = (line: string) => {
    readLine(line);
    onLog?.(line);
  };
  const log = createLogger(config.logLevel, { write });
  const limits = { ...TIME_LIMITS, ...timeLimits };
  const server = await startServer(config, database.url, log, undefined, limits);
  const pool = new pg.Pool({ connectionString: database.url, max: 4 });
  // It says that it has ended before its connections have, and a server that stops then cuts them off.
  pool.on('error', () => undefined);
  const sockets: TestSocket[] = [];
  const watched: WatchedFrames[] = [];
  return {
    url: server.url,
    databaseUrl: database.url,
    server,
    ctx: server.service.ctx,
    pool,
    anonymous: new Api(server.url),
    user: (username) => signUp(server.url, username),
    socket: (auth) => {
      const socket: TestSocket = io(server.url, { auth, transports: ['websocket'], forceNew: true });
      sockets.push(socket);
      watched.push(watchFrames(socket));
      return socket;
    },
    close: async () => {
      for (const socket of sockets) socket.disconnect();
      await server.stop(0);
      await pool.end();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
      const faults = new Set(watched.flatMap((frames) => frames.faults));
      if (faults.size > 0)
        throw new Error(`frames that the document does not tell of: ${[...faults].join('; ')}`);
    },
  };
}

/** An answer, with its body read as JSON if it has one. */
export interface Answer<T = unknown> {
  status: number;
  headers: Headers;
  body: T;
}

/** Plain requests to one server, as one user or as nobody. */
export class Api {
  readonly url: string;
  readonly token: string | undefined;
  readonly #within: number;

  /** @param within how long an answer may take. Milliseconds */
  constructor(url: string, token?: string, within = 60_000) {
    this.url = url;
    this.token = token;
    this.#within = within;
  }

  async request<T = never>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const [response, text] = await withDeadline(this.#within, undefined, async (signal) => {
      const answered = await fetch(this.url + path, {
        method,
        headers: {
          ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        signal,
      });
      return [answered, await answered.text()] as const;
    });
    const json = /\bjson\b/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: (json ? JSON.parse(text) : text) as T,
    };
  }

  get<T = never>(path: string, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.request<T>('GET', path, undefined, headers);
  }

  post<T = never>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.request<T>('POST', path, body, headers);
  }

  put<T = never>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.request<T>('PUT', path, body, headers);
  }

  patch<T = never>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.request<T>('PATCH', path, body, headers);
  }

  delete<T = never>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.request<T>('DELETE', path, body, headers);
  }
}

export const PASSWORD = 'correct horse battery';

/** Somebody with an account and a session. */
export class TestUser extends Api {
  readonly id: number;
  readonly email: string;
  readonly username: string;
  readonly password = PASSWORD;
  readonly refreshToken: string;
  declare readonly token: string;

  constructor(
    url: string,
    account: { id: number; email: string; username: string },
    tokens: { access_token: string; refresh_token: string },
  ) {
    super(url, tokens.access_token);
    this.id = account.id;
    this.email = account.email;
    this.username = account.username;
    this.refreshToken = tokens.refresh_token;
  }
}

/** Makes an account and a session on a running server, whichever process it is in. */
export async function signUp(url: string, username?: string): Promise<TestUser> {
  const api = new Api(url);
  const name = username ?? `u${randomUUID().slice(0, 8)}`;
  const email = `${name}-${randomUUID().slice(0, 8)}@example.org`;
  const account = await api.post<{ id: number; email: string; username: string }>('/users', {
    email,
    password: PASSWORD,
    username: name,
  });
  if (account.status !== 201) throw new Error(`sign-up: ${account.status} ${JSON.stringify(account.body)}`);
  return logIn(url, account.body);
}

/** Another session of somebody who has an account. */
export async function logIn(
  url: string,
  account: { id: number; email: string; username: string },
  password = PASSWORD,
): Promise<TestUser> {
  const tokens = await new Api(url).post<{ access_token: string; refresh_token: string }>('/login', {
    email: account.email,
    password,
  });
  if (tokens.status !== 200) throw new Error(`login: ${tokens.status} ${JSON.stringify(tokens.body)}`);
  heldLog.keep({ password, refreshToken: tokens.body.refresh_token });
  return new TestUser(url, account, tokens.body);
}
