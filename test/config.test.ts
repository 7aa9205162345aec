import { expect } from 'chai';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, ConfigError, readConfig, variableNames } from '../server/config.ts';
import { misspelt } from '../server/config/misspelt.ts';
import { ended, type Program, startProgram } from './support/program.ts';

/** The message of the refusal. */
function refusal(env: NodeJS.ProcessEnv): string {
  try {
    readConfig(env);
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error(`accepted: ${JSON.stringify(env)}`);
}

const SECRET = 'a secret that is long enough to the byte';

describe('the configuration', () => {
  it('has the defaults that the contract tells', () => {
    const expected: Partial<Config> = {
      nodeEnv: 'development',
      host: '127.0.0.1',
      port: 3000,
      databaseUrl: undefined,
      dataDir: './data',
      redis: undefined,
      redisPrefix: undefined,
      workers: 1,
      jwtSecrets: [],
      accessTokenTtl: 15 * 60_000,
      refreshTokenTtl: 30 * 86_400_000,
      bcryptCost: 12,
      corsOrigins: [],
      publicUrl: undefined,
      smtp: undefined,
      mailFrom: undefined,
      allowedHosts: [],
      shutdownDelay: 0,
      trustProxy: false,
      rateLimits: true,
      loginFailures: 20,
      votesPerAddress: 30,
      signUp: 'open',
      publicRead: false,
      verifyEmail: 'off',
      eventRetention: 7 * 86_400_000,
      tallyWindow: 100,
      writeTimeSlice: 10,
      fastPaths: ['direct-writes', 'slim-connections'],
      logLevel: 'info',
    };
    expect(readConfig({})).to.deep.include(expected);
    expect(Object.isFrozen(readConfig({}))).to.be.true;
  });

  it('takes an empty variable for one that is not set, and passes over those of others', () => {
    expect(
      readConfig({ PORT: '', JWT_SECRET: '', REDIS_URL: '', HOME: '/root', npm_config_x: '1' }),
    ).to.deep.equal(readConfig({}));
  });

  it('reads lists, spans, numbers and proxies', () => {
    expect(
      readConfig({
        PORT: '0',
        HOST: '::1',
        WORKERS: 'auto',
        JWT_SECRET: `${SECRET}, ${SECRET}2`,
        ACCESS_TOKEN_TTL: '90s',
        TALLY_WINDOW: '250ms',
        WRITE_TIME_SLICE: '0ms',
        CORS_ORIGINS: 'https://A.example:443,http://localhost:5173,capacitor://localhost,file://',
        PUBLIC_URL: 'https://Feed.example/social/',
        ALLOWED_HOSTS: 'Feed.example.,.example.org,[2001:DB8::1],::1,10.0.0.1',
        SHUTDOWN_DELAY: '5s',
        FAST_PATHS: 'slim-connections',
        REDIS_URL: 'redis://a:1,redis://b:2',
        TRUST_PROXY: '2',
      }),
    ).to.deep.include({
      port: 0,
      host: '::1',
      workers: 'auto',
      jwtSecrets: [SECRET, `${SECRET}2`],
      accessTokenTtl: 90_000,
      tallyWindow: 250,
      writeTimeSlice: 0,
      corsOrigins: ['https://a.example', 'http://localhost:5173', 'capacitor://localhost', 'file://'],
      publicUrl: 'https://feed.example/social',
      allowedHosts: ['feed.example', '.example.org', '2001:db8::1', '::1', '10.0.0.1'],
      shutdownDelay: 5000,
      fastPaths: ['slim-connections'],
      redis: {
        kind: 'cluster',
        addresses: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
        database: 0,
        family: 0,
      },
      trustProxy: 2,
    });
    const mail = { MAIL_FROM: 'Tidings <news@example.org>', PUBLIC_URL: 'https://feed.example' };
    expect(readConfig({ ...mail, SMTP_URL: 'smtps://us%40er:p%2Fw@mail.example.org' })).to.deep.include({
      smtp: { host: 'mail.example.org', port: 465, secure: true, auth: { user: 'us@er', pass: 'p/w' } },
      mailFrom: { name: 'Tidings', address: 'news@example.org' },
    });
    expect(readConfig({ ...mail, MAIL_FROM: 'a@example.org', SMTP_URL: 'smtp://[::1]' })).to.deep.include({
      smtp: { host: '::1', port: 587, secure: false },
      mailFrom: { name: '', address: 'a@example.org' },
    });
    expect(readConfig({ FAST_PATHS: 'off' }).fastPaths).to.deep.equal([]);
    expect(readConfig({ FAST_PATHS: 'slim-connections, direct-writes' })).to.deep.equal(readConfig({}));
    for (const [given, meant] of [
      ['true', true],
      ['false', false],
      ['1', 1],
      ['loopback', 'loopback'],
      ['10.0.0.0/8, ::1', '10.0.0.0/8, ::1'],
    ] as const)
      expect(readConfig({ TRUST_PROXY: given }).trustProxy).to.equal(meant);
  });

  for (const [name, ...values] of [
    ['NODE_ENV', 'prod', 'Production'],
    ['HOST', 'not a host', 'http://x'],
    ['PORT', 'x', '-1', '65536', '3000.5', '3e9'],
    ['DATABASE_URL', 'x', 'mysql://a/b', 'http://a/b'],
    ['REDIS_URL', 'x', 'http://a', 'redis://a,x'],
    [
      'SMTP_URL',
      'x',
      'smtp://',
      'http://mail.example.org',
      'smtp://a/path',
      'smtp://a?pool=true',
      'smtp://user@a',
      'smtp://:password@a',
      'smtp://u:%ff@a',
      'smtp://a b',
      'smtp://a:99999',
    ],
    [
      'MAIL_FROM',
      'x',
      'a@b c',
      'Name a@example.org',
      'A <a@example.org>, b@example.org',
      'A\n<a@example.org>',
    ],
    ['WORKERS', '0', '-1', 'all', '1.5', '1000'],
    ['JWT_SECRET', 'short', `${SECRET},short`, 'x'.repeat(31)],
    ['ACCESS_TOKEN_TTL', '15', '15 m', '0s', '-5m', '2d', 'forever', '1e3s'],
    ['REFRESH_TOKEN_TTL', '0d', '400d', '30days'],
    ['BCRYPT_COST', '3', '17', 'x', '10.5'],
    [
      'CORS_ORIGINS',
      'example.org',
      'https://example.org/',
      'https://example.org/path',
      'https://*.example.org',
      '*,https://a.example',
      'null',
      'capacitor://localhost/',
      'https://user@example.org',
      'http://',
    ],
    [
      'PUBLIC_URL',
      'example.org',
      'ftp://example.org',
      'https://u:p@example.org',
      'https://a.example?x',
      'https://',
    ],
    [
      'ALLOWED_HOSTS',
      'example.org:80',
      'https://example.org',
      'a b',
      '[::1]:80',
      '*.example.org',
      'a/b',
      '.',
    ],
    ['SHUTDOWN_DELAY', '5', '-1s', '10m'],
    ['TRUST_PROXY', 'yes', 'banana', '10.0.0.0/33', '300.1.1.1', '-1', 'loopback,banana'],
    ['RATE_LIMITS', 'yes', 'true', '1'],
    ['VOTES_PER_ADDRESS', '0', '-1', '1.5', 'x', '100001'],
    ['SIGN_UP', 'on', 'Open', 'invited'],
    ['PUBLIC_READ', 'true', 'On', '1'],
    ['VERIFY_EMAIL', 'on', 'true', 'Off'],
    [
      'OIDC_ISSUER',
      'accounts.example.org',
      'http://accounts.example.org',
      'https://accounts.example.org?x=1',
      'https://user@accounts.example.org',
      'ftp://accounts.example.org',
    ],
    ['OIDC_SCOPES', 'email', 'openid "x"', 'openidemail'],
    ['OIDC_NAME', 'x'.repeat(41)],
    ['OIDC_SIGN_UP', 'closed', 'invite', 'on'],
    ['LOGIN_FAILURES', '0', '2', '1001', 'x', '5.5', '-1'],
    ['EVENT_RETENTION', '7', '1s', '99999d'],
    ['TALLY_WINDOW', '1ms', '1m', '100'],
    ['WRITE_TIME_SLICE', '2s', '10', '-1ms'],
    ['MAX_CONNECTIONS', '0', '-1', 'x'],
    ['ADDRESS_SHARE', '0', '101', '2.5', 'x'],
    ['FAST_PATHS', 'true', 'direct-writes,direct-writes', 'direct-writes,other', 'on,off'],
    ['LOG_LEVEL', 'verbose', 'INFO'],
  ] as const)
    for (const value of values)
      it(`refuses ${name}=${value} and names it`, () => {
        const message = refusal({ [name]: value });
        expect(message).to.contain(name);
        expect(message.split('\n'), 'one sentence for one fault').to.have.length(1);
        expect(message).to.match(/must/);
      });

  it('names every variable at fault at once', () => {
    const message = refusal({ PORT: 'x', BCRYPT_COST: 'x', LOG_LEVEL: 'x', TALLY_WINDOW: 'x' });
    for (const name of ['PORT', 'BCRYPT_COST', 'LOG_LEVEL', 'TALLY_WINDOW']) expect(message).to.contain(name);
  });

  it('tells what a number may be, and an address to listen on', () => {
    const allowed = {
      PORT: 'a whole number from 0 to 65535',
      BCRYPT_COST: 'a whole number from 4 to 16',
      WORKERS: 'a whole number from 1 to 256, or auto',
      MAX_CONNECTIONS: 'a whole number of 1 or more',
    };
    for (const [name, what] of Object.entries(allowed))
      for (const value of ['x', '-1', '2.5'])
        expect(refusal({ [name]: value }), value).to.equal(`${name} must be ${what}`);
    expect(refusal({ HOST: '127.0.0.1:3000' })).to.match(
      /^HOST must be .* without a port, such as 127\.0\.0\.1/,
    );
  });

  it('names the variable of an address that is at fault', () => {
    const DATABASE_URL = 'postgres://u@h/db';
    for (const [address, fault] of [
      ['mysql://h/db', 'MIGRATION_DATABASE_URL must be an address'],
      [`${DATABASE_URL}?sslmode=prefer`, 'MIGRATION_DATABASE_URL: sslmode must be'],
    ] as const)
      expect(refusal({ DATABASE_URL, MIGRATION_DATABASE_URL: address })).to.match(new RegExp(`^${fault}`));
  });

  it('takes addresses of replicas between white space, and names what is wrong with one', () => {
    const [DATABASE_URL, second] = ['postgres://u@h/db', 'postgres://u@a,b/db'];
    const { databaseReplicaUrls } = readConfig({
      DATABASE_URL,
      DATABASE_REPLICA_URL: `\n${DATABASE_URL}  ${second} `,
    });
    expect(databaseReplicaUrls).to.deep.equal([DATABASE_URL, second]);
    expect(readConfig({ DATABASE_URL, DATABASE_REPLICA_URL: ' ' }).databaseReplicaUrls).to.deep.equal([]);
    expect(refusal({ DATABASE_URL, DATABASE_REPLICA_URL: `${DATABASE_URL} mysql://u:secret@h/db` })).to.match(
      /^DATABASE_REPLICA_URL must be an address/,
    );
    expect(refusal({ DATABASE_REPLICA_URL: DATABASE_URL })).to.match(
      /^DATABASE_REPLICA_URL must come with DATABASE_URL/,
    );
  });

  it('repeats no value that may be a secret', () => {
    for (const [name, value] of [
      ['JWT_SECRET', 'hunter2'],
      ['DATABASE_URL', 'postgrs://user:hunter2@localhost/db'],
      ['REDIS_URL', 'redis//:hunter2@localhost'],
    ] as const)
      expect(refusal({ [name]: value })).not.to.contain('hunter2');
  });

  it('wants a sender and a public address with a mail server', () => {
    const env = { SMTP_URL: 'smtp://127.0.0.1', MAIL_FROM: 'a@example.org', PUBLIC_URL: 'https://a.example' };
    expect(readConfig(env).mailFrom).to.include({ address: 'a@example.org' });
    for (const name of ['MAIL_FROM', 'PUBLIC_URL'])
      expect(refusal({ ...env, [name]: '' })).to.match(/^SMTP_URL must come with MAIL_FROM/);
  });

  it('knows where a link leads: to the public address, or to this machine if nobody else reaches the service', () => {
    const linkOf = (env: Record<string, string>) => readConfig(env).linkUrl;
    expect(linkOf({ PORT: '4000' })).to.equal('http://127.0.0.1:4000');
    expect(linkOf({ HOST: '0.0.0.0' })).to.equal(undefined);
    expect(linkOf({ HOST: '0.0.0.0', PUBLIC_URL: 'https://a.example' })).to.equal('https://a.example');
  });

  it('takes an OpenID provider with its client and the address of the service, or none', () => {
    const env = {
      OIDC_ISSUER: 'https://accounts.example.org',
      OIDC_CLIENT_ID: 'tidings',
      PUBLIC_URL: 'https://a.example',
    };
    expect(readConfig({ PUBLIC_URL: 'https://a.example' }).oidc).to.equal(undefined);
    expect(readConfig(env).oidc).to.deep.equal({
      issuer: 'https://accounts.example.org',
      clientId: 'tidings',
      clientSecret: undefined,
      name: 'accounts.example.org',
      scope: 'openid email profile',
      signUp: 'same',
    });
    const more = {
      OIDC_CLIENT_SECRET: 'secret',
      OIDC_NAME: 'Us',
      OIDC_SCOPES: 'email  openid',
      OIDC_SIGN_UP: 'open',
    };
    expect(readConfig({ ...env, ...more, OIDC_ISSUER: 'http://localhost:1' }).oidc).to.deep.include({
      clientSecret: 'secret',
      name: 'Us',
      scope: 'email openid',
      signUp: 'open',
    });
    for (const missing of Object.keys(env))
      expect(refusal({ ...env, [missing]: '' }), missing).to.match(
        /^OIDC_ISSUER must come with OIDC_CLIENT_ID/,
      );
    expect(refusal({ OIDC_CLIENT_SECRET: 'secret' }))
      .to.match(/^OIDC_ISSUER must come with/)
      .and.not.include('secret');
  });

  it('wants a mail server where addresses must be verified, unless mails are printed', () => {
    const env = { VERIFY_EMAIL: 'before_post', JWT_SECRET: SECRET };
    const mail = {
      SMTP_URL: 'smtp://127.0.0.1',
      MAIL_FROM: 'a@example.org',
      PUBLIC_URL: 'https://a.example',
    };
    for (const NODE_ENV of ['production', 'test']) {
      expect(refusal({ ...env, NODE_ENV })).to.match(/^VERIFY_EMAIL must be off without SMTP_URL/);
      expect(readConfig({ ...env, ...mail, NODE_ENV }).verifyEmail).to.equal('before_post');
    }
    expect(readConfig({ ...env, NODE_ENV: 'development' }).verifyEmail).to.equal('before_post');
  });

  it('wants a secret in production', () => {
    expect(refusal({ NODE_ENV: 'production' })).to.contain('JWT_SECRET');
    expect(readConfig({ NODE_ENV: 'production', JWT_SECRET: SECRET }).jwtSecrets).to.deep.equal([SECRET]);
  });

  it('tells which variables are almost a setting that is not set', () => {
    for (const [given, meant] of [
      ['DATABASE_URI', 'DATABASE_URL'],
      ['DATABASE_ULR', 'DATABASE_URL'],
      ['DATBASE_UL', 'DATABASE_URL'],
      ['database_url', 'DATABASE_URL'],
      ['MIGRATION_DATABSE_URI', 'MIGRATION_DATABASE_URL'],
      ['REDIS_URI', 'REDIS_URL'],
      ['JWT_SERCET', 'JWT_SECRET'],
      ['MAX_CONECTION', 'MAX_CONNECTIONS'],
      ['RATELIMIT', 'RATE_LIMITS'],
      ['HOSTS', 'HOST'],
    ] as const)
      expect(misspelt({ [given]: 'x' }, variableNames)).to.deep.equal([
        `${given} is not a setting of Tidings: is ${meant} meant?`,
      ]);
  });

  it('takes no variable of another program for a setting, nor one that is beside the setting', () => {
    const others =
      'PATH PWD OLDPWD HOME USER LOGNAME LANG TERM SHELL TZ HOSTNAME DISPLAY XDG_DATA_HOME NODE_OPTIONS NODE_PATH ' +
      'NODE_EXTRA_CA_CERTS npm_config_user_agent npm_package_name npm_lifecycle_event npm_execpath INIT_CWD ' +
      'PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE PGDATA DATABASE_PORT DATABASE_HOST DATABASE_NAME ' +
      'DATABASE_USER DB_URL REDIS_HOST REDIS_PORT REDIS_TLS_URL SMTP_HOST SMTP_PORT SMTP_USER MAIL_HOST MAIL_PORT ' +
      'MAIL_TO HTTP_URL HTTP_PORT HTTPS_PORT SERVER_PORT APP_URL BASE_URL PUBLIC_DIR JWT_SECRET_KEY JWT_EXPIRES_IN ' +
      'LOG_FILE LOG_DIR LOG_FORMAT KUBERNETES_PORT REDIS_SERVICE_HOST TIDINGS_PORT GITHUB_TOKEN CI WEB_CONCURRENCY';
    expect(misspelt(Object.fromEntries(others.split(' ').map((name) => [name, 'x'])), variableNames)).to.be
      .empty;
    expect(misspelt({ DATABASE_URI: 'x', DATABASE_URL: 'x' }, variableNames)).to.be.empty;
  });

  describe('at the start of the program', () => {
    let dataDir: string;
    const programs: Program[] = [];
    before(async () => {
      dataDir = await mkdtemp(join(tmpdir(), 'tidings-config-'));
    });
    after(async () => {
      for (const program of programs) await program.stop();
      await rm(dataDir, { recursive: true, force: true });
    });

    for (const [what, env, name] of [
      ['a wrong value', { PORT: 'x' }, 'PORT'],
      ['a proxy that is none', { TRUST_PROXY: 'banana' }, 'TRUST_PROXY'],
      ['a folder for data that is a file', { DATA_DIR: import.meta.filename }, 'DATA_DIR'],
      ['a folder for data that the kernel refuses', { DATA_DIR: '/proc/none/of/it' }, 'DATA_DIR'],
      ['a missing secret in production', { NODE_ENV: 'production' }, 'JWT_SECRET'],
      [
        'a proof of addresses without mail',
        { NODE_ENV: 'production', JWT_SECRET: SECRET, VERIFY_EMAIL: 'before_post' },
        'VERIFY_EMAIL',
      ],
    ] as const)
      it(`${what} ends it with 78, a sentence that names the variable, and nothing begun`, async () => {
        const program = startProgram({ DATA_DIR: dataDir, ...env });
        programs.push(program);
        await ended(program);
        expect(program.code).to.equal(78);
        expect(program.stderr)
          .to.contain(name)
          .and.not.match(/^\s+at /m);
        expect(program.stdout).to.equal('');
        expect(await readdir(dataDir)).to.be.empty;
      });

    it('too many connections for the files that a process may open are told', async () => {
      for (const [connections, isTold] of [
        ['999999999', true],
        ['10', false],
      ] as const) {
        const program = startProgram({
          DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere',
          JWT_SECRET: SECRET,
          MAX_CONNECTIONS: connections,
        });
        programs.push(program);
        await ended(program);
        expect(program.stdout.includes('(ulimit -n), and needs'), program.stdout).to.equal(isTold);
      }
    });
  });
});
