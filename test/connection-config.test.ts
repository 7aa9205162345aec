import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import pg from 'pg';
import { connectionConfig, describeDatabase, onDatabase } from '../server/config/connection-config.ts';

/** Where an address leads, in short. */
function whereTo(url: string, env: NodeJS.ProcessEnv = {}) {
  const { hosts, user, password, database } = connectionConfig(url, env);
  return { hosts: hosts.map(({ host, port }) => `${host} ${port}`), user, password, database };
}

describe('DATABASE_URL', () => {
  const { user } = pg.defaults;
  before(() => (pg.defaults.user = 'somebody'));
  after(() => {
    if (user === undefined) delete pg.defaults.user;
    else pg.defaults.user = user;
  });

  // Addresses that `pg` understands by itself: it is the reference.
  for (const url of [
    'postgres://u:p@h:4310/db',
    'postgresql://u:p@h/db',
    'postgres:///db?host=/sockets&port=4310',
    'postgres://%2Fsockets/db',
    'postgres://u@%2Fvar%2Frun%2Fpostgresql:4310/db',
    'postgres://u:p@[::1]:4310/db',
    'postgres://u:p%40s%2Fs%3F%23%25@h/db',
    'postgres://u:100%@h/db',
    'postgres://u:p@ss@h/db',
    'postgres://us%20er:p@h/d%20b',
    'postgres://u:p@h/db?host=other',
    'postgres://u:p@h:4310/db?port=4311',
    'postgres://u:p@h/db?user=v&password=w',
    'postgres://h',
    'postgres://h/',
    'postgres://',
    'postgres:///',
    'postgres://u:p@h/%D0%B4%D0%B1',
    'postgres://u:p@h/db?application_name=x&options=-c%20search_path%3Dtidings',
  ])
    it(`${url} leads where pg is led by it`, () => {
      const client = new pg.Client({ connectionString: url });
      const { hosts, ...others } = connectionConfig(url);
      expect(hosts).to.deep.equal([{ host: client.host, port: client.port }]);
      expect(others).to.include({ user: client.user, database: client.database });
      expect(others.password ?? null).to.equal(client.password ?? null);
    });

  it('with the environment leads where pg is led by both', () => {
    const env = {
      PGHOST: '/sockets',
      PGPORT: '4310',
      PGUSER: 'me',
      PGPASSWORD: 'secret',
      PGDATABASE: 'mine',
    };
    expect(whereTo('postgres://', env)).to.deep.equal({
      hosts: ['/sockets 4310'],
      user: 'me',
      password: 'secret',
      database: 'mine',
    });
    expect(whereTo('postgres://u:p@h:1/db', env)).to.deep.equal({
      hosts: ['h 1'],
      user: 'u',
      password: 'p',
      database: 'db',
    });
    expect(whereTo('postgres://h/db', env).hosts).to.deep.equal(['h 4310']);
    expect(whereTo('postgres://u@/db', env).hosts).to.deep.equal(['/sockets 4310']);
  });

  it('may have a user and its host in the query, as libpq has it', () => {
    expect(whereTo('postgres://user@/db?host=/sockets').hosts).to.deep.equal(['/sockets 5432']);
    expect(whereTo('postgres://user@:4310/db?host=h').hosts).to.deep.equal(['h 4310']);
  });

  it('may name several hosts, each with its port', () => {
    expect(whereTo('postgres://u:p@a:1,b,[::1]:3/db').hosts).to.deep.equal(['a 1', 'b 5432', '::1 3']);
    expect(whereTo('postgres://u@/db?host=a,b&port=1,2').hosts).to.deep.equal(['a 1', 'b 2']);
    expect(whereTo('postgres://u@/db?host=a,b&port=1').hosts).to.deep.equal(['a 1', 'b 1']);
    expect(whereTo('postgres://u@/db', { PGHOST: 'a,b', PGPORT: '1,2' }).hosts).to.deep.equal(['a 1', 'b 2']);
    expect(connectionConfig('postgres://u@a,b/db?target_session_attrs=read-write').readWrite).to.equal(true);
    expect(
      connectionConfig('postgres://u@a,b/db', { PGTARGETSESSIONATTRS: 'read-write' }).readWrite,
    ).to.equal(true);
  });

  for (const [url, named] of [
    ['postgres://u:p@h:x/db', 'port'],
    ['postgres://u:p@h:0/db', 'port'],
    ['postgres://u:p@h:70000/db', 'port'],
    ['postgres://u:p#w@h/db', '%23'],
    ['postgres://::1/db', 'IPv6'],
    ['postgres://u@a,b,c/db?port=1,2', 'ports'],
    ['postgres://u@h/db?schema=x', 'schema'],
    ['postgres://u@h/db?statement_timeout=0', 'statement_timeout'],
    ['postgres://u@h/db?sslmode=prefer', 'sslmode'],
    ['postgres://u@h/db?ssl=require', 'ssl must be one of'],
    ['postgres://u@h/db?ssl=True', 'ssl must be one of'],
    ['postgres://u@h/db?sslmode=verify-ca', 'sslrootcert'],
    ['postgres://u@h/db?sslrootcert=/nowhere/ca.pem', '/nowhere/ca.pem'],
    [`postgres://u@h/db?sslrootcert=${import.meta.filename}`, 'no certificate'],
    ['postgres://u@h,%2Fsockets/db?sslmode=require', 'Unix socket'],
    ['postgres://u@h/db?target_session_attrs=standby', 'target_session_attrs'],
    ['postgres://u@h/db?connect_timeout=soon', 'connect_timeout'],
    ['postgres://u%ff@h/db', 'UTF-8'],
    ['host=h dbname=db', 'DATABASE_URL'],
    ['mysql://h/db', 'DATABASE_URL'],
  ] as const)
    it(`${url} is refused by naming ${named}`, () => {
      expect(() => connectionConfig(url, {})).to.throw(named);
    });

  it('is refused without a part of a password in which a ? was not escaped', () => {
    for (const url of ['postgres://u:pass?secret@h/db', 'postgres://u:pass?secret&x=secret@h/db'])
      expect(() => connectionConfig(url, {}))
        .to.throw('%3F')
        .with.property('message')
        .that.does.not.contain('secret');
  });

  it('says whether and how the connection is encrypted, with the environment for what it leaves open', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-certificates-'));
    const ca = join(folder, 'ca.pem');
    const [certificate = ''] = rootCertificates;
    await writeFile(ca, certificate);
    const ssl = (url: string, env: NodeJS.ProcessEnv = {}) => connectionConfig(url, env).ssl;
    expect(ssl('postgres://h/db')).to.equal(false);
    expect(ssl('postgres://h/db?sslmode=disable', { PGSSLMODE: 'require' })).to.equal(false);
    expect(ssl('postgres://h/db', { PGSSLMODE: 'require' })).to.deep.equal({});
    expect(ssl('postgres://h/db?sslmode=verify-full')).to.deep.equal({});
    expect(ssl('postgres://h/db?ssl=true')).to.deep.equal({});
    expect(ssl('postgres://h/db?ssl=1')).to.deep.equal({});
    expect(ssl('postgres://h/db?ssl=false')).to.equal(false);
    expect(ssl('postgres://h/db?ssl=0')).to.equal(false);
    expect(ssl('postgres://h/db?ssl=no-verify')).to.deep.equal({ rejectUnauthorized: false });
    expect(ssl('postgres://h/db?sslmode=no-verify')).to.deep.equal({ rejectUnauthorized: false });
    expect(ssl(`postgres://h/db?sslrootcert=${ca}`)).to.deep.equal({ ca: certificate });
    expect(ssl('postgres://h/db?sslmode=verify-ca', { PGSSLROOTCERT: ca })).to.have.keys(
      'ca',
      'checkServerIdentity',
    );
    await rm(folder, { recursive: true });
  });

  it('is described without its user and password', () => {
    expect(describeDatabase('postgres://me:hunter2@a:1,[::1]:2,%2Fsockets/db')).to.equal(
      'The database db at a:1, [::1]:2, /sockets/.s.PGSQL.5432',
    );
  });

  it('leads to another database of the same server with nothing else changed', () => {
    for (const [url, other] of [
      ['postgres://u:p@a:1,b:2/db?sslmode=disable', 'postgres://u:p@a:1,b:2/x%20y?sslmode=disable'],
      ['postgres://u@?host=/sockets', 'postgres://u@/x%20y?host=/sockets'],
      ['postgres://h/db?dbname=other&port=1', 'postgres://h/x%20y?port=1'],
      ['postgres://h/db?port=1&dbname=other', 'postgres://h/x%20y?port=1'],
    ] as const)
      expect(onDatabase(url, 'x y')).to.equal(other);
  });
});
