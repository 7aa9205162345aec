import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { systemBinary } from './system-binary.ts';
import { until } from './waiting.ts';

/** Lines of its configuration by section, beside those that say where it listens and leads. */
export interface BouncerOptions {
  /** Of `[pgbouncer]`. */
  settings?: Record<string, string>;
  /** Appended to the database's line. */
  database?: string;
  /** Of the user in `[users]`. */
  user?: string;
}

/** A PgBouncer of Debian's package in front of one database, whose configuration can be changed while it runs. */
export class PgBouncer {
  /** Leads to the database through it. */
  readonly url: string;
  readonly #target: URL;
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(databaseUrl: string, folder: string, port: number) {
    this.#target = new URL(databaseUrl);
    this.#folder = folder;
    this.#port = port;
    this.url = `postgres://${this.#target.username}@127.0.0.1:${port}/tidings`;
  }

  static async start(databaseUrl: string, options: BouncerOptions): Promise<PgBouncer> {
    const { path, env } = await systemBinary({
      names: ['pgbouncer'],
      packages: ['pgbouncer'],
      hint: 'Install it: apt-get install pgbouncer',
    });
    const folder = await mkdtemp(join(tmpdir(), 'tidings-pgbouncer-'));
    await chmod(folder, 0o755);
    const bouncer = new PgBouncer(databaseUrl, folder, await freePort());
    await bouncer.#configure(options);
    // It refuses to run as root.
    const args = process.getuid?.() === 0 ? ['-u', 'nobody', bouncer.#file] : [bouncer.#file];
    bouncer.#child = spawn(path, args, { env, stdio: 'ignore' });
    const answers = async () => {
      const client = new pg.Client({ connectionString: bouncer.url });
      client.on('error', () => undefined); // connecting fails as well
      return client.connect().then(
        () => client.end().then(() => true),
        () => false,
      );
    };
    try {
      await until('PgBouncer answers', answers);
    } catch (error) {
      await bouncer.stop();
      throw error;
    }
    return bouncer;
  }

  /** Gives it another configuration, as its RELOAD does. It has it a moment later. */
  async reload(options: BouncerOptions): Promise<void> {
    await this.#configure(options);
    this.#child?.kill('SIGHUP');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.exitCode === null) {
      child.kill('SIGQUIT');
      await once(child, 'exit');
    }
    await rm(this.#folder, { recursive: true });
  }

  get #file(): string {
    return join(this.#folder, 'pgbouncer.ini');
  }

  get #users(): string {
    return join(this.#folder, 'users.txt');
  }

  async #configure({ settings = {}, database = '', user }: BouncerOptions): Promise<void> {
    const { hostname, port, username, password, pathname } = this.#target;
    const lines = (entries: Record<string, string>) =>
      Object.entries(entries).map(([name, value]) => `${name} = ${value}`);
    await writeFile(this.#users, `"${username}" "${password}"\n`, { mode: 0o644 });
    await writeFile(
      this.#file,
      [
        '[databases]',
        `tidings = host=${hostname} port=${port} dbname=${pathname.slice(1)} ${database}`,
        '[users]',
        ...(user === undefined ? [] : [`${username} = ${user}`]),
        '[pgbouncer]',
        ...lines({
          listen_addr: '127.0.0.1',
          listen_port: String(this.#port),
          unix_socket_dir: '',
          auth_type: 'trust',
          auth_file: this.#users,
          ...settings,
        }),
        '',
      ].join('\n'),
      { mode: 0o644 },
    );
  }
}
