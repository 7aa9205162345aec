import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { parseRedisUrl } from '../server/config/redis-url.ts';
import { readConfig } from '../server/config.ts';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { createMetrics } from '../server/ops/metrics.ts';
import { createLogger } from '../server/logger.ts';
import { openRedis, type RedisParts } from '../server/redis.ts';
import { Authority, type KeyPair } from './support/certificates.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { ready, startProgram } from './support/program.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { until } from './support/waiting.ts';

describe('what a node says of its Redis', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let folder: string;
  const ending: (() => unknown)[] = [];
  before(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    folder = await mkdtemp(join(tmpdir(), 'tidings-redis-faults-'));
  });
  after(async () => {
    await pool.end();
    await database.drop();
    await rm(folder, { recursive: true });
  });
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });

  const server = async (...args: string[]): Promise<TestRedis> => {
    const redis = await startRedis({ args });
    ending.push(() => redis.stop());
    return redis;
  };
  const commands = async (url: string, ...lines: string[]) => {
    const client = new Redis(url, { retryStrategy: () => null });
    client.on('error', () => undefined);
    try {
      for (const line of lines) {
        const [name = '', ...args] = line.split(' ');
        await client.call(name, ...args);
      }
    } finally {
      client.disconnect();
    }
  };
  interface Node extends RedisParts {
    lines: { level: number; msg: string; reason?: string }[];
  }
  /** The Redis side of a node, as the service opens it. */
  const open = async (url: string, { prefix = 'p', epoch = 'one' } = {}): Promise<Node> => {
    const lines: Node['lines'] = [];
    const parts = await openRedis({
      config: readConfig({ REDIS_URL: url, REDIS_PREFIX: prefix }),
      target: parseRedisUrl(url),
      db: { query: ({ text, values }) => pool.query<object>(text, values) },
      log: createLogger('info', { write: (line) => lines.push(JSON.parse(line) as Node['lines'][number]) }),
      metrics: createMetrics(),
      epoch: () => epoch,
    });
    ending.push(() => parts.close());
    await parts.pubsub.client.subscribe([`${prefix}-request#/#`]);
    return Object.assign(parts, { lines });
  };
  const well = (node: Node) => until('Redis to be well', () => node.health.fault === undefined);
  const names = (node: Node, reason: string) =>
    until(`the fault ${reason}`, () => node.health.fault?.reason === reason).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(node.health.fault)} ${JSON.stringify(node.lines)}`);
    });
  const fails = async (node: Node, reason: string) => {
    await names(node, reason);
    const count = () => node.lines.filter((line) => line.reason === reason).length;
    expect(count(), 'warnings').to.equal(1);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(count(), 'warnings after the next try').to.equal(1);
  };

  it('is well only when a message has come back and a count was written', async () => {
    const node = await open((await server()).url);
    expect(node.health.fault?.reason).to.equal('unproven');
    await well(node);
    expect(node.lines).to.be.empty;
  });

  const faults: [what: string, reason: string, set: (redis: TestRedis) => Promise<string>][] = [
    [
      'a user without channels',
      'channels_forbidden',
      async ({ url }) => {
        await commands(url, 'ACL SETUSER app on >pw ~* resetchannels +@all');
        return url.replace('//', '//app:pw@');
      },
    ],
    [
      'a user without keys',
      'keys_forbidden',
      async ({ url }) => {
        await commands(url, 'ACL SETUSER app on >pw &* resetkeys +@all');
        return url.replace('//', '//app:pw@');
      },
    ],
    [
      'a user without scripts',
      'commands_forbidden',
      async ({ url }) => {
        await commands(url, 'ACL SETUSER app on >pw &* ~* +@all -@scripting');
        return url.replace('//', '//app:pw@');
      },
    ],
    [
      'a wrong password',
      'wrong_password',
      async ({ url }) => {
        await commands(url, 'CONFIG SET requirepass pw');
        return url.replace('//', '//default:wrong@');
      },
    ],
    [
      'a missing password',
      'no_password',
      async ({ url }) => {
        await commands(url, 'CONFIG SET requirepass pw');
        return url;
      },
    ],
    ['a database that does not exist', 'wrong_database', ({ url }) => Promise.resolve(`${url}/99`)],
    [
      'a read-only replica',
      'read_only',
      async ({ url }) => {
        const primary = await server();
        await commands(url, `REPLICAOF 127.0.0.1 ${primary.port}`);
        await until('the replica to follow', async () => {
          const client = new Redis(url);
          const info = await client.info('replication');
          client.disconnect();
          return info.includes('master_link_status:up');
        });
        return url;
      },
    ],
    [
      'a full memory',
      'out_of_memory',
      async ({ url }) => {
        await commands(url, 'CONFIG SET maxmemory 1');
        return url;
      },
    ],
    [
      'too few replicas',
      'no_replicas',
      async ({ url }) => {
        await commands(url, 'CONFIG SET min-replicas-to-write 1');
        return url;
      },
    ],
  ];
  for (const [what, reason, set] of faults)
    it(`names ${what}, and warns once`, async () => {
      await fails(await open(await set(await server())), reason);
    });

  it('names a Sentinel that is given for a server', async () => {
    const { sentinel } = await sentinelOf(await server());
    await fails(await open(`redis://127.0.0.1:${sentinel}`), 'no_data_server');
  });

  it('names a cluster that is down behind its one endpoint', async () => {
    const redis = await server('--cluster-enabled', 'yes', '--cluster-port', String(await freePort()));
    await commands(redis.url, 'CLUSTER ADDSLOTSRANGE 0 8191');
    await fails(await open(redis.url), 'cluster_down');
  });

  it('tells of a frozen server, and once of its recovery', async () => {
    const redis = await server();
    const node = await open(redis.url);
    await well(node);
    await redis.kill('SIGSTOP');
    await fails(node, 'silent');
    await redis.kill('SIGCONT');
    await well(node);
    expect(node.lines.map(({ level }) => level)).to.deep.equal([40, 30]);
  });

  it('outlives the loss of its rights while it is connected, and gets well when it has them again', async () => {
    const redis = await server();
    const rights = 'ACL SETUSER app on >pw ~p:* &p* +@all';
    await commands(redis.url, rights);
    const node = await open(redis.url.replace('//', '//app:pw@'));
    await well(node);
    await commands(redis.url, 'ACL SETUSER app resetchannels');
    await fails(node, 'channels_forbidden');
    await commands(redis.url, rights);
    await well(node);
  });

  it('is well with the rights that the documentation lists, and no others', async () => {
    const redis = await server();
    const list =
      '+hello +auth +select +client|setname +info +publish +subscribe +eval +evalsha +time +get +set ' +
      '+del +incr +decr +pttl +pexpire +pexpireat +zadd +zscore +zremrangebyscore +zremrangebyrank';
    await commands(redis.url, `ACL SETUSER app on >pw ~p:* &p* -@all ${list}`);
    const node = await open(redis.url.replace('//', '//app:pw@'));
    await well(node);
    expect(await node.limits?.take('k', 60)).to.include({ consumedPoints: 1 });
    await node.limits?.remember('s', 'm', Date.now() + 10_000);
    expect(await node.limits?.knows('s', ['m'])).to.be.true;
    await node.limits?.forget('s');
    expect(await node.limits?.knows('s', ['m'])).to.be.false;
  });

  it('recognises a cluster behind one endpoint, and counts on each of its nodes', async () => {
    const nodes = await Promise.all(
      [0, 1].map(async () => server('--cluster-enabled', 'yes', '--cluster-port', String(await freePort()))),
    );
    const [one, two] = nodes as [TestRedis, TestRedis];
    await commands(one.url, 'CLUSTER ADDSLOTSRANGE 0 8191');
    await commands(two.url, 'CLUSTER ADDSLOTSRANGE 8192 16383', 'CLUSTER SET-CONFIG-EPOCH 2');
    const client = new Redis(two.url);
    const port = /@(\d+)/.exec(String(await client.cluster('NODES')))?.[1] ?? '';
    client.disconnect();
    await commands(one.url, `CLUSTER MEET 127.0.0.1 ${two.port} ${port}`);
    const node = await open(one.url);
    await well(node);
    for (let at = 0; at < 8; at += 1)
      await until(
        'each key to be counted',
        async () => (await node.limits?.take(`key${at}`, 60)) !== undefined,
      );
  });

  it('follows Sentinels to the primary, and to the next one', async () => {
    const [first, second] = [await server(), await server()];
    await commands(second.url, `REPLICAOF 127.0.0.1 ${first.port}`);
    const { sentinel } = await sentinelOf(first);
    const node = await open(`redis+sentinel://127.0.0.1:${sentinel}/tidings`);
    await well(node);
    await until('the Sentinel to know the replica', async () => {
      const client = new Redis({ port: sentinel, protocol: 2 });
      const replicas = (await client.call('SENTINEL', 'REPLICAS', 'tidings')) as unknown[];
      client.disconnect();
      return replicas.length === 1;
    });
    await first.kill();
    await until('the fault', () => node.health.fault !== undefined);
    await well(node);
    expect((await node.limits?.take('k', 60))?.consumedPoints).to.equal(1);
  });

  describe('over TLS', () => {
    let ca: Authority;
    let pair: KeyPair;
    let client: KeyPair;
    let stranger: KeyPair;
    before(async () => {
      ca = await Authority.make(folder, 'ca');
      pair = await ca.sign('redis', { names: 'IP:127.0.0.1' });
      await ca.sign('elsewhere', { names: 'DNS:redis.example' });
      await ca.sign('expired', { names: 'IP:127.0.0.1', days: -1 });
      client = await ca.sign('client');
      stranger = await (await Authority.make(folder, 'other')).sign('stranger');
    });

    const files = (auth: 'yes' | 'no', { cert, key } = pair) => [
      ...['--tls-cert-file', cert, '--tls-key-file', key],
      ...['--tls-ca-cert-file', ca.cert, '--tls-auth-clients', auth],
    ];
    /** A server with a second port, for TLS. @returns its address there */
    const encrypted = async (...args: string[]) => {
      const port = await freePort();
      return { redis: await server('--tls-port', String(port), ...args), port };
    };

    it('works with an authority of its own, and says what fails without', async () => {
      const { redis, port } = await encrypted(...files('no'));
      const host = `rediss://127.0.0.1:${port}`;
      await names(await open(host), 'tls');
      await names(await open(`${host}?ca=${join(folder, 'other.pem')}`), 'tls');
      // It waits for the end of what looks like a command.
      await names(await open(`rediss://127.0.0.1:${redis.port}?ca=${ca.cert}`), 'unreachable');
      await well(await open(`${host}?ca=${ca.cert}`));
      await commands(redis.url, 'ACL SETUSER app on >pw ~p:* &p* +@all');
      await well(await open(`rediss://app:pw@127.0.0.1:${port}?ca=${ca.cert}`));
    });

    for (const name of ['elsewhere', 'expired'])
      it(`refuses a certificate that is ${name}`, async () => {
        const own = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
        const { port } = await encrypted(...files('no', own));
        await names(await open(`rediss://127.0.0.1:${port}?ca=${ca.cert}`), 'tls');
      });

    it('shows its own certificate to a server that wants one', async () => {
      const { port } = await encrypted(...files('yes'));
      const host = `rediss://127.0.0.1:${port}?ca=${ca.cert}`;
      await names(await open(host), 'tls');
      await names(await open(`${host}&cert=${stranger.cert}&key=${stranger.key}`), 'tls');
      await well(await open(`${host}&cert=${client.cert}&key=${client.key}`));
    });

    it('goes through Sentinels that want TLS, a user and a password of their own', async () => {
      const { redis, port } = await encrypted(...files('no'), '--requirepass', 'of-the-server');
      expect(redis.port).to.not.equal(port);
      const sentinelPort = await freePort();
      const { sentinel } = await sentinelOf({ port }, [
        `tls-port ${sentinelPort}`,
        'tls-replication yes',
        `tls-cert-file ${pair.cert}`,
        `tls-key-file ${pair.key}`,
        `tls-ca-cert-file ${ca.cert}`,
        'tls-auth-clients no',
        'sentinel auth-pass tidings of-the-server',
        'user default off',
        'user watcher on >of-the-sentinel allchannels +@all',
      ]);
      expect(sentinel).to.not.equal(sentinelPort);
      const url = (password: string, parameters: string) =>
        `rediss+sentinel://:${password}@127.0.0.1:${sentinelPort}/tidings?ca=${ca.cert}${parameters}`;
      const login = '&sentinel_username=watcher&sentinel_password=';
      await well(await open(url('of-the-server', `${login}of-the-sentinel`)));
      await names(await open(url('of-the-server', `${login}wrong`)), 'wrong_password');
      await names(await open(url('wrong', `${login}of-the-sentinel`)), 'wrong_password');
    });

    it('trusts what NODE_EXTRA_CA_CERTS adds', async () => {
      const { port } = await encrypted(...files('no'));
      const program = startProgram({
        DATABASE_URL: database.url,
        DATA_DIR: folder,
        REDIS_URL: `rediss://127.0.0.1:${port}`,
        NODE_EXTRA_CA_CERTS: ca.cert,
      });
      ending.push(() => program.stop());
      await ready(program);
      await until('Redis to be well', async () => {
        const answer = await fetch(`${program.url}/readyz`);
        const { parts } = (await answer.json()) as { parts: { redis?: { status: string } } };
        return parts.redis?.status === 'ok';
      });
    });
  });

  it('keeps installations apart, and warns of two epochs under one prefix', async () => {
    const redis = await server();
    const [one, other, copy] = [
      await open(redis.url),
      await open(redis.url, { prefix: 'q', epoch: 'another' }),
      await open(redis.url, { epoch: 'of a copy' }),
    ];
    for (const node of [one, other, copy]) await until('its channel', () => node.health.isWell('bus'));
    for (const node of [one, other]) await until('its counts', () => node.health.isWell('limits'));
    expect(await one.limits?.take('k', 60)).to.include({ consumedPoints: 1 });
    expect(await other.limits?.take('k', 60)).to.include({ consumedPoints: 1 });
    await fails(one, 'two_epochs');
    expect(other.health.fault).to.equal(undefined);
  });

  /** A Sentinel of one voice. @returns its port */
  async function sentinelOf(primary: { port: number }, more: string[] = []): Promise<{ sentinel: number }> {
    const sentinel = await freePort();
    const config = join(folder, `sentinel-${sentinel}.conf`);
    await writeFile(
      config,
      [
        `sentinel monitor tidings 127.0.0.1 ${primary.port} 1`,
        'sentinel down-after-milliseconds tidings 500',
        'sentinel failover-timeout tidings 2000',
        ...more,
        '',
      ].join('\n'),
    );
    const started = await startRedis({ port: sentinel, sentinelConfig: config });
    ending.push(() => started.stop());
    return { sentinel };
  }
});
