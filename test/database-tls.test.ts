import { expect } from 'chai';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { readConfig } from '../server/config.ts';
import { connectClient } from '../server/database/client.ts';
import { connectionConfig } from '../server/config/connection-config.ts';
import { type EmbeddedPostgres, startEmbedded } from '../server/database/embedded.ts';
import { giveTo } from '../server/database/embedded/account.ts';
import { accountsFor } from '../server/database/embedded/accounts.ts';
import { migrate, pendingChanges } from '../server/database/migrate.ts';
import { examine } from '../server/doctor/examine.ts';
import { Authority } from './support/certificates.ts';
import { temporaryFolder } from './support/postgres.ts';
import { ended, startProgram } from './support/program.ts';
import { until } from './support/waiting.ts';
import { createWorld } from './support/world.ts';

/** Databases that differ in what the server asks of anyone who wants to use them. */
const HBA = `
hostnossl encrypted,certified all 127.0.0.1/32 reject
hostssl certified all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
host all all 127.0.0.1/32 scram-sha-256
`;

describe('TLS to PostgreSQL', () => {
  let folder: string;
  let server: EmbeddedPostgres;
  let admin: pg.Client;
  const file = (name: string) => join(folder, name);

  before(async () => {
    folder = await temporaryFolder();
    const [ca, other] = [await Authority.make(folder, 'ca'), await Authority.make(folder, 'other')];
    await ca.sign('server', { names: 'DNS:localhost' });
    await ca.sign('expired', { names: 'DNS:localhost', days: -1 });
    await ca.sign('client');
    await other.sign('stranger');
    const accounts = await accountsFor(file('data'));
    for (const name of ['server.key', 'expired.key']) {
      await chmod(file(name), 0o600);
      await giveTo(accounts?.server, file(name));
    }
    await writeFile(file('pg_hba.conf'), HBA);
    server = await startEmbedded({
      dataDir: file('data'),
      settings: { fsync: 'off', hba_file: file('pg_hba.conf') },
    });
    admin = await connectClient(server.adminUrl, { name: 'tidings test' });
    const role = new URL(server.url).username;
    for (const name of ['encrypted', 'certified'])
      await admin.query(`create database ${name} owner ${role} template template0`);
    await setUp({
      ssl: 'on',
      ssl_cert_file: file('server.pem'),
      ssl_key_file: file('server.key'),
      ssl_ca_file: file('ca.pem'),
    });
  });
  after(async () => {
    await admin.end();
    await server.stop();
    await rm(folder, { recursive: true });
  });

  /** Changes the server's settings, and waits until new connections have them. */
  async function setUp(settings: Record<string, string>): Promise<void> {
    for (const [name, value] of Object.entries(settings))
      await admin.query(`alter system set ${name} = '${value}'`);
    await admin.query('select pg_reload_conf()');
    await until('the settings to hold', async () => {
      const { rows } = await admin.query<{ name: string; setting: string }>(
        'select name, setting from pg_settings where name = any ($1)',
        [Object.keys(settings)],
      );
      return rows.every(({ name, setting }) => settings[name] === setting);
    });
  }

  /** @param query in which `@` stands for the folder of the certificates */
  function address(host: string, database: string, query: string): string {
    const { username, password, port } = new URL(server.url);
    const parameters = query.replaceAll('@', `${encodeURIComponent(folder)}/`);
    return `postgres://${username}:${password}@${host.replaceAll('PORT', port)}/${database}?${parameters}`;
  }

  /** What a connection to an address finds, or why there is none, which the doctor must say in the same words. */
  async function outcome(url: string): Promise<string> {
    try {
      connectionConfig(url);
    } catch (error) {
      return String(error);
    }
    try {
      const client = await connectClient(url, { name: 'tidings test' });
      try {
        const { rows } = await client.query<{ ssl: boolean; dn: string | null }>(
          'select ssl, client_dn as dn from pg_stat_ssl where pid = pg_backend_pid()',
        );
        return `${rows[0]?.ssl === true ? 'TLS' : 'plain text'}${rows[0]?.dn ? `, as ${rows[0].dn}` : ''}`;
      } finally {
        await client.end();
      }
    } catch (error) {
      const { message } = error as Error;
      const [first] = await examine(readConfig({ DATABASE_URL: url }), url, { schema: false });
      expect(first?.findings.map(({ what }) => what).join('')).to.contain(message);
      return message;
    }
  }

  const cases: [address: string, database: string, query: string, outcome: RegExp][] = [
    ['localhost:PORT', 'tidings', 'sslmode=verify-full&sslrootcert=@ca.pem', /^TLS$/],
    ['localhost:PORT', 'tidings', 'sslmode=require&sslrootcert=@ca.pem', /^TLS$/],
    ['localhost:PORT', 'tidings', 'sslrootcert=@ca.pem', /^TLS$/],
    ['localhost:PORT', 'tidings', 'sslmode=verify-ca&sslrootcert=@ca.pem', /^TLS$/],
    ['127.0.0.1:PORT', 'tidings', 'sslmode=verify-ca&sslrootcert=@ca.pem', /^TLS$/],
    ['127.0.0.1:PORT', 'tidings', 'sslmode=no-verify', /^TLS$/],
    ['127.0.0.1:PORT', 'tidings', 'sslmode=disable', /^plain text$/],
    // The host that is at fault is passed over where there is another.
    ['127.0.0.1:PORT,localhost:PORT', 'tidings', 'sslmode=verify-full&sslrootcert=@ca.pem', /^TLS$/],
    [
      '127.0.0.1:PORT',
      'tidings',
      'sslmode=verify-full&sslrootcert=@ca.pem',
      /not for this host.*127\.0\.0\.1/,
    ],
    [
      '127.0.0.1:PORT,127.0.0.1:PORT',
      'tidings',
      'sslmode=verify-full&sslrootcert=@ca.pem',
      /No host.*not for this host.*not for this host/,
    ],
    [
      'localhost:PORT',
      'tidings',
      'sslmode=verify-full&sslrootcert=@other.pem',
      /not signed by a trusted CA.*sslrootcert/,
    ],
    [
      'localhost:PORT',
      'tidings',
      'sslmode=verify-ca&sslrootcert=@other.pem',
      /not signed by a trusted CA.*sslrootcert/,
    ],
    ['localhost:PORT', 'tidings', 'sslmode=require', /not signed by a trusted CA.*sslrootcert/],
    [
      'localhost:PORT',
      'tidings',
      'sslmode=verify-full&sslrootcert=system',
      /not signed by a trusted CA.*sslrootcert/,
    ],
    ['localhost:PORT', 'encrypted', 'sslmode=require&sslrootcert=@ca.pem', /^TLS$/],
    ['localhost:PORT', 'encrypted', '', /may require TLS.*sslmode=verify-full/],
    [
      'localhost:PORT',
      'certified',
      'sslmode=verify-full&sslrootcert=@ca.pem&sslcert=@client.pem&sslkey=@client.key',
      /^TLS, as \/CN=client$/,
    ],
    [
      'localhost:PORT',
      'certified',
      'sslmode=verify-full&sslrootcert=@ca.pem',
      /client certificate.*sslcert and sslkey/,
    ],
    [
      'localhost:PORT',
      'certified',
      'sslmode=verify-full&sslrootcert=@ca.pem&sslcert=@stranger.pem&sslkey=@stranger.key',
      /sslcert and sslkey/,
    ],
    [
      'localhost:PORT',
      'tidings',
      'sslrootcert=@none.pem',
      /DatabaseUrlError: sslrootcert: .*none\.pem.*ENOENT/,
    ],
    ['localhost:PORT', 'tidings', 'sslrootcert=@server.key', /DatabaseUrlError: sslrootcert.*no certificate/],
    [
      'localhost:PORT',
      'tidings',
      'sslrootcert=@pg_hba.conf',
      /DatabaseUrlError: sslrootcert.*no certificate/,
    ],
    [
      'localhost:PORT',
      'tidings',
      'sslcert=@client.pem',
      /DatabaseUrlError: sslcert and sslkey belong together/,
    ],
    [
      'localhost:PORT',
      'tidings',
      'sslkey=@client.key',
      /DatabaseUrlError: sslcert and sslkey belong together/,
    ],
    [
      'localhost:PORT',
      'tidings',
      'sslcert=@client.pem&sslkey=@ca.key',
      /DatabaseUrlError: sslcert and sslkey must be PEM/,
    ],
    ['localhost:PORT,%2Frun', 'tidings', 'sslrootcert=@ca.pem', /DatabaseUrlError: .*Unix socket/],
  ];
  for (const [host, database, query, expected] of cases)
    it(`${host}/${database}?${query} comes to ${expected.source}`, async () => {
      expect(await outcome(address(host, database, query))).to.match(expected);
    });

  it('is set up by PGSSLMODE, PGSSLROOTCERT, PGSSLCERT and PGSSLKEY as well', async () => {
    const variables = {
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: file('ca.pem'),
      PGSSLCERT: file('client.pem'),
      PGSSLKEY: file('client.key'),
    };
    Object.assign(process.env, variables);
    try {
      expect(await outcome(address('localhost:PORT', 'certified', ''))).to.equal('TLS, as /CN=client');
      expect(await outcome(address('127.0.0.1:PORT', 'certified', ''))).to.match(/not for this host/);
      expect(await outcome(address('127.0.0.1:PORT', 'tidings', 'sslmode=disable'))).to.equal('plain text');
      expect(connectionConfig('postgres://u@/db?host=/run').ssl, 'over a Unix socket').to.equal(false);
    } finally {
      for (const name of Object.keys(variables)) Reflect.deleteProperty(process.env, name);
    }
  });

  it('carries migrations, both pools and the doctor', async () => {
    const url = address(
      'localhost:PORT',
      'certified',
      'sslmode=verify-full&sslrootcert=@ca.pem&sslcert=@client.pem&sslkey=@client.key',
    );
    await migrate(url);
    expect((await pendingChanges(url)).migrations).to.deep.equal([]);
    const world = await createWorld({}, { url, drop: () => Promise.resolve() });
    try {
      const user = await world.user();
      expect((await user.post('/posts', { title: 'through TLS', content: 'x' })).status).to.equal(201);
      await until('the post is told', () => world.ctx.feed.seq === 1);
      const { rows } = await admin.query<{ name: string; plain: number }>(
        `select application_name as name, count(*) filter (where not s.ssl)::integer as plain
         from pg_stat_activity a join pg_stat_ssl s using (pid) where datname = 'certified' group by 1`,
      );
      expect(rows.map(({ name }) => name)).to.include.members(['tidings', 'tidings-feed']);
      expect(rows.filter(({ plain }) => plain > 0)).to.deep.equal([]);
      const found = await examine(world.ctx.config, url, { schema: false });
      expect(found.filter(({ what, findings }) => what !== 'database' && findings.length > 0)).to.deep.equal(
        [],
      );
    } finally {
      await world.close();
    }
  });

  it('refuses the start of the service with a sentence where it cannot be had', async () => {
    const start = async (query: string) => {
      const program = startProgram({
        DATABASE_URL: address('localhost:PORT', 'tidings', query),
        DATA_DIR: folder,
      });
      await ended(program);
      return `${program.code}: ${program.stderr}`;
    };
    const [untrusted, unreadable] = await Promise.all([
      start('sslmode=verify-full&sslrootcert=@other.pem'),
      start('sslmode=verify-full&sslrootcert=@none.pem'),
    ]);
    expect(untrusted).to.match(
      /^1: The database tidings at localhost:\d+ cannot be used: .*sslrootcert.*\n$/,
    );
    expect(unreadable).to.match(/^78: DATABASE_URL: sslrootcert: .*none\.pem cannot be read.*\n$/);
  });

  it('tells a certificate that has expired, and a server that has none', async () => {
    const url = address('localhost:PORT', 'tidings', 'sslmode=verify-full&sslrootcert=@ca.pem');
    await setUp({ ssl_cert_file: file('expired.pem'), ssl_key_file: file('expired.key') });
    await until('the refusal', async () => (await outcome(url)).includes('has expired'));
    await setUp({ ssl: 'off' });
    await until('the refusal', async () => /offers no TLS.*ssl = on/.test(await outcome(url)));
  });
});
