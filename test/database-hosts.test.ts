import { expect } from 'chai';
import { connectClient } from '../server/database/client.ts';
import { isComingUp, isUnavailable } from '../server/database/connection.ts';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { TcpProxy } from './support/tcp-proxy.ts';
import { Stopwatch } from './support/waiting.ts';

describe('several hosts in DATABASE_URL', () => {
  let database: TestDatabase;
  let silent: TcpProxy;
  let dead: number;

  before(async () => {
    database = await createDatabase();
    const { port } = new URL(database.url);
    silent = await TcpProxy.start({ targets: () => [Number(port)] });
    silent.tap = () => new Promise<never>(() => undefined); // takes connections and never answers
    dead = await freePort();
  });
  after(async () => {
    await silent.stop();
    await database.drop();
  });

  const urlOf = (query: string, ...first: number[]) => {
    const { host, username, password, pathname } = new URL(database.url);
    const hosts = [...first.map((port) => `127.0.0.1:${port}`), host].join(',');
    return `postgres://${username}:${password}@${hosts}${pathname}?${query}`;
  };

  it('leads to the first that answers, without waiting for those that do not', async () => {
    const watch = new Stopwatch();
    const client = await connectClient(urlOf('target_session_attrs=read-write', dead, silent.port), {
      name: 'tidings test',
    });
    expect(watch.ran).to.be.lessThan(3000); // the limit of one host
    await client.end();
  });

  it('is asked again at a start where one is too busy to answer', async () => {
    const { username, password, pathname } = new URL(database.url);
    const failure: unknown = await connectClient(
      `postgres://${username}:${password}@127.0.0.1:${silent.port}${pathname}?connect_timeout=1`,
      { name: 'tidings test' },
    ).catch((error: unknown) => error);
    expect(isComingUp(failure), String(failure)).to.equal(true);
  });

  it('leads to none that only reads, where writes are asked for', async () => {
    const readOnly = 'options=-c%20default_transaction_read_only%3Don';
    const failure: unknown = await connectClient(urlOf(`target_session_attrs=read-write&${readOnly}`, dead), {
      name: 'tidings test',
    }).catch((error: unknown) => error);
    expect(String(failure)).to.include('read-only').and.to.include(String(dead));
    expect(String(failure)).to.include('No host of DATABASE_URL accepts');
    expect(isUnavailable(failure)).to.equal(true);
    const ofOthers: unknown = await connectClient(
      urlOf(`target_session_attrs=read-write&${readOnly}`, dead, silent.port),
      { name: 'tidings test', variable: 'MIGRATION_DATABASE_URL' },
    ).catch((error: unknown) => error);
    expect(String(ofOthers)).to.include('No host of MIGRATION_DATABASE_URL accepts a read-write connection');
    const client = await connectClient(urlOf(readOnly, dead), { name: 'tidings test' });
    await client.end();
  });
});
