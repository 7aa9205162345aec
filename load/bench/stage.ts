import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { startEmbedded } from '../../server/database/embedded.ts';
import { migrate } from '../../server/database/migrate.ts';
import { type LocalServer, startLocalServer } from '../local-server.ts';

/** What the lines of the bench are measured on: one database server for both sides of every comparison. */
export interface Stage {
  /** Rounds of each line. */
  rounds: number;
  /** Divides sizes and times, to try the bench out; 1 for the real thing. */
  scale: number;
  /** Addresses of two databases that `npm run fill` has filled, the small one first, in place of some that a part fills. */
  communities?: readonly [string, string];
  say: (what: string) => void;
  /** The folder of another build, whose server and tables are looked at in place of ours. */
  build?: string;
  /** A new database with every migration applied. */
  database(): Promise<string>;
  /** Has something that a part has started ended with the part. */
  after(end: () => Promise<void> | void): void;
  /** The real server on a database. It ends with the part. */
  server(
    databaseUrl: string,
    env?: Record<string, string>,
    nodeOptions?: readonly string[],
  ): Promise<LocalServer>;
}

/** Of the database server. A standby may not have less. */
export const MAX_CONNECTIONS = '300';

/** What the tokens of the servers are signed with. */
export const SECRET = 'a secret of the bench that nobody else can reach';

export async function withStage<T>(
  options: Pick<Stage, 'rounds' | 'scale' | 'communities' | 'say'>,
  use: (stage: Stage, endPart: () => Promise<void>, stageOf: (build?: string) => Stage) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-bench-'));
  await chmod(folder, 0o755); // as root, the database runs under another account
  const embedded = await startEmbedded({
    dataDir: folder,
    settings: {
      max_connections: MAX_CONNECTIONS,
      // Tells when each transaction was committed, for the line about delays.
      track_commit_timestamp: 'on',
      // Only where a part asks for it.
      shared_preload_libraries: 'pg_stat_statements',
      'pg_stat_statements.track': 'none',
    },
  });
  // A fast shutdown (PostgreSQL's meaning of SIGINT), if the bench is ended during its work.
  const stopWithUs = () => process.kill(embedded.pid, 'SIGINT');
  process.once('exit', stopWithUs);
  let databases = 0;
  const ends: (() => Promise<void> | void)[] = [];
  const stageOf = (build?: string): Stage => ({
    ...options,
    ...(build === undefined ? {} : { build }),
    after: (end) => void ends.push(end),
    database: async () => {
      databases += 1;
      const name = `bench_${databases}`;
      await withClient(embedded.adminUrl, (client) =>
        client.query(`create database ${name} template template0`),
      );
      const url = new URL(embedded.adminUrl);
      url.pathname = `/${name}`;
      await (build === undefined ? migrate : await migrateOf(build))(url.href);
      return url.href;
    },
    server: async (databaseUrl, env = {}, nodeOptions = []) => {
      const server = await startLocalServer(
        {
          DATABASE_URL: databaseUrl,
          DATA_DIR: folder,
          JWT_SECRET: SECRET,
          RATE_LIMITS: 'off',
          BCRYPT_COST: '4',
          ACCESS_TOKEN_TTL: '1d',
          ...env,
        },
        nodeOptions,
        build,
      );
      ends.push(() => server.stop());
      return server;
    },
  });
  try {
    const endPart = async () => {
      for (const end of ends.splice(0).reverse()) await end();
    };
    return await use(stageOf(), endPart, stageOf);
  } finally {
    process.removeListener('exit', stopWithUs);
    await embedded.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** What brings a database up to another build's schema. */
async function migrateOf(build: string): Promise<(databaseUrl: string) => Promise<unknown>> {
  const file = pathToFileURL(join(build, 'dist/server/database/migrate.js'));
  return ((await import(file.href)) as { migrate: typeof migrate }).migrate;
}

/** A connection that ends with the part. */
export async function openClient(stage: Stage, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  stage.after(() => client.end());
  return client;
}

/** Uses one connection and ends it. */
export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
