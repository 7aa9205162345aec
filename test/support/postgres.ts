import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { dropDatabase } from '../../server/database/drop-database.ts';
import { startEmbedded } from '../../server/database/embedded.ts';
import { livingOwner } from '../../server/database/embedded/owner.ts';
import { runningPostmaster, stopPostmaster } from '../../server/database/embedded/postmaster.ts';
import { migrate } from '../../server/database/migrate.ts';

/**
 * One PostgreSQL for the whole run, a database per test file.
 *
 * The server is the embedded one in a temporary folder, with everything off that protects against a power cut; or, with
 * TEST_DATABASE_URL, one that runs already (the URL of a role that may create databases). It starts when the first file asks
 * for it and ends with the run.
 */
export interface TestPostgres {
  /** A URL of a role that may create databases. */
  adminUrl: string;
  /** Undefined when the server is not ours. */
  pid: number | undefined;
}

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

interface Run extends TestPostgres {
  stop(): Promise<void>;
}

const PREFIX = 'tidings-test-';

/** On `globalThis`, since mocha and the test files may each load this module in their own way. */
const shared = globalThis as typeof globalThis & {
  tidingsTestPostgres?: Promise<Run>;
  tidingsTestTemplate?: Promise<string>;
};

export function startTestPostgres(): Promise<TestPostgres> {
  shared.tidingsTestPostgres ??= start();
  return shared.tidingsTestPostgres;
}

/** A database with every migration applied, copied from a template that was migrated once. */
export async function createDatabase(): Promise<TestDatabase> {
  const { adminUrl } = await startTestPostgres();
  shared.tidingsTestTemplate ??= makeTemplate(adminUrl);
  return create(adminUrl, await shared.tidingsTestTemplate);
}

/** A database with nothing in it. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const { adminUrl } = await startTestPostgres();
  return create(adminUrl, 'template0');
}

export const mochaHooks = {
  async afterAll(): Promise<void> {
    const run = await shared.tidingsTestPostgres?.catch(() => undefined);
    await run?.stop();
    delete shared.tidingsTestPostgres;
    delete shared.tidingsTestTemplate;
  },
};

async function start(): Promise<Run> {
  const given = process.env.TEST_DATABASE_URL;
  if (given !== undefined && given !== '') {
    return { adminUrl: given, pid: undefined, stop: () => dropTemplate(given) };
  }
  await sweep();
  const dataDir = await temporaryFolder();
  const server = await startEmbedded({
    dataDir,
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '300',
    },
  });
  return {
    adminUrl: server.adminUrl,
    get pid() {
      return server.pid;
    },
    async stop() {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A folder that PostgreSQL's account can enter when the tests run as root. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  await chmod(folder, 0o755);
  return folder;
}

/** What runs that were killed left behind: a server each, and its folder. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name);
    // A run that goes on may have folders without a server.
    if (!name.startsWith(PREFIX) || isOfRunningProcess(name) || !(await isOld(folder))) continue;
    if (await stopAbandoned(folder)) await rm(folder, { recursive: true, force: true });
  }
}

function isOfRunningProcess(name: string): boolean {
  const pid = Number.parseInt(name.slice(PREFIX.length), 10);
  if (Number.isNaN(pid)) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isOld(folder: string): Promise<boolean> {
  const made = await stat(folder).catch(() => undefined);
  return made !== undefined && Date.now() - made.ctimeMs > 60_000;
}

async function makeTemplate(adminUrl: string): Promise<string> {
  const template = templateName();
  await onServer(adminUrl, (client) => client.query(`create database ${template} template template0`));
  await migrate(databaseUrl(adminUrl, template));
  return template;
}

async function dropTemplate(adminUrl: string): Promise<void> {
  const template = await shared.tidingsTestTemplate?.catch(templateName);
  if (template !== undefined) await onServer(adminUrl, (client) => dropDatabase(client, template));
}

/** Of this process alone, since several runs may share a server. */
function templateName(): string {
  return `tidings_template_${process.pid}`;
}

async function create(adminUrl: string, template: string): Promise<TestDatabase> {
  const name = `tidings_test_${randomBytes(6).toString('hex')}`;
  await onServer(adminUrl, (client) => copyDatabase(client, name, template));
  return {
    url: databaseUrl(adminUrl, name),
    drop: () => onServer(adminUrl, (client) => dropDatabase(client, name)),
  };
}

/** Copies the files: to write each page to the log, as PostgreSQL does from version 15 on, takes three times the CPU time. */
async function copyDatabase(client: pg.Client, name: string, template: string): Promise<void> {
  const { rows } = await client.query<{ chooses: boolean }>(
    "select current_setting('server_version_num')::int >= 150000 as chooses",
  );
  const strategy = rows[0]?.chooses === true ? 'strategy file_copy' : '';
  await client.query(`create database ${name} template ${template} ${strategy}`);
}

function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(adminUrl: string, use: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 60_000 });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}

/** What a statement finds in the database at an address, over a connection of its own. */
export async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 60_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Ends the server of a folder that nobody owns any more, for who wants to remove the folder. */
export async function stopAbandoned(dataDir: string): Promise<boolean> {
  const place = await realpath(join(dataDir, 'postgres')).catch(() => undefined);
  if (place === undefined) return true;
  if ((await livingOwner(place)) !== undefined) return false;
  const postmaster = await runningPostmaster(join(place, 'cluster'));
  if (postmaster !== undefined) await stopPostmaster(postmaster.pid);
  return true;
}
