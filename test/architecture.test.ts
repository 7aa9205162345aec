import { expect } from 'chai';
import { dirname, join } from 'node:path';
import { cyclesOf, type Import, importsOf, readSources, type Sources } from './support/import-graph.ts';

/** What the files of one kind may import. */
interface Rule {
  /** Which files. The first rule that fits a file is its rule. */
  files: RegExp;
  may: RegExp;
  /** Of these only types: whoever joins the parts passes the values. */
  mayOnlyTypes?: RegExp;
}

const inFolder = (...names: string[]) =>
  new RegExp(`^(${names.map((name) => name.replaceAll('.', '\\.')).join('|')})`);
const nothing = /(?!)/;

const capabilities = '(auth|users|posts|votes|stream)';
/** What one capability may use of another: who asks, how a thing is shown, and its shapes. */
const shared = 'server/(auth/identity|posts/(present|events)|[a-z]+/schemas)\\.ts';
const shapes = 'server/http/(schema|json-schema|problem|metrics|bare-problem)\\.ts';

/** DESIGN's directions: a request comes in from above and goes down, and the parts of the feed know no capability. */
const rules: Rule[] = [
  { files: /^server\/(web-address|paths|logger)\.ts$/, may: nothing },
  // The contract: what each capability tells is with the capability.
  {
    files: /^server\/events\.ts$/,
    may: nothing,
    mayOnlyTypes: new RegExp(`^server/${capabilities}/event-payloads\\.ts$`),
  },
  // The client package has a copy of the names.
  { files: new RegExp(`^server/${capabilities}/event-(names|payloads)\\.ts$`), may: nothing },
  // What the capabilities bring, joined.
  {
    files: /^server\/event-registry\.ts$/,
    may: new RegExp(`^server/${capabilities}/events\\.ts$`),
    mayOnlyTypes: /^server\/outbox\/event-type\.ts$/,
  },
  {
    files: /^server\/capability-checks\.ts$/,
    may: new RegExp(`^server/${capabilities}/(checks|fold)\\.ts$`),
    mayOnlyTypes: /^server\/(doctor\/check|outbox\/entity-fold)\.ts$/,
  },
  {
    files: new RegExp(`^server/${capabilities}/checks\\.ts$`),
    may: /^server\/(doctor\/check|library-internals\/sequelize)\.ts$/,
  },
  // What is used of libraries beyond their documentation: whoever needs it comes here.
  { files: /^server\/library-internals\//, may: nothing },
  // What DATABASE_URL and REDIS_URL may be is told where it is read.
  {
    files: /^server\/config\.ts$/,
    may: /^server\/(database\/(connection-config|database-url-error)|cluster\/redis-url|library-internals\/fast-paths|web-address)\.ts$/,
  },
  { files: /^server\/(certificates|database\/database-url-error)\.ts$/, may: nothing },
  {
    files: /^server\/database\/(connection-config|tls)\.ts$/,
    may: /^server\/(certificates|database\/(database-url-error|tls))\.ts$/,
  },
  { files: /^server\/(text|queues)\//, may: nothing },
  { files: /^server\/errors\.ts$/, may: nothing, mayOnlyTypes: /^server\/events\.ts$/ },
  { files: /^server\/preconditions\.ts$/, may: /^server\/errors\.ts$/ },
  { files: /^server\/version\.ts$/, may: /^server\/paths\.ts$/ },
  { files: /^models\//, may: inFolder('models/') },
  {
    files: /^server\/database\//,
    may: inFolder(
      'server/database/',
      'server/library-internals/',
      'server/queues/',
      'models/',
      'server/config/certificates.ts',
      'server/logger.ts',
      'server/paths.ts',
      'server/config.ts',
    ),
  },
  {
    files: /^server\/cluster\//,
    may: inFolder('server/cluster/', 'server/config/certificates.ts', 'server/errors.ts', 'server/logger.ts'),
  },
  {
    files: /^server\/outbox\//,
    may: inFolder(
      'server/outbox/',
      'models/',
      'server/contract.ts',
      'server/library-internals/sequelize.ts',
      'server/logger.ts',
    ),
  },
  {
    files: /^server\/limits\//,
    may: inFolder('server/limits/', 'server/cluster/', 'server/errors.ts', 'server/logger.ts'),
    mayOnlyTypes: /^server\/auth\/identity\.ts$/,
  },
  // What a node does over Redis, joined.
  {
    files: /^server\/redis\.ts$/,
    may: inFolder('server/cluster/', 'server/limits/', 'server/database/installation.ts'),
    mayOnlyTypes: /^server\/(config|logger|http\/metrics|database\/connection)\.ts$/,
  },
  // The follower reads the log that the outbox writes, and nothing else of it.
  {
    files: /^server\/feed\//,
    may: inFolder(
      'server/feed/',
      'models/',
      'server/contract.ts',
      'server/logger.ts',
      'server/log/reader.ts',
      'server/log/redaction.ts',
    ),
  },
  // It knows subscribers, and no transport.
  {
    files: /^server\/delivery\//,
    may: /^server\/(delivery\/|queues\/|errors\.ts|outbox\/log\.ts)/,
    mayOnlyTypes:
      /^server\/(feed\/|auth\/(connections|identity)\.ts|events\.ts|logger\.ts|http\/metrics\.ts)/,
  },
  {
    files: /^server\/transports\//,
    may: /^server\/(transports\/|delivery\/|errors\.ts|http\/response-end\.ts|limits\/address-key\.ts)/,
    mayOnlyTypes: /^server\/(context|events|outbox\/log|auth\/identity|http\/metrics)\.ts$/,
  },
  {
    files: /^server\/gateway\//,
    may: new RegExp(
      `^(server/(gateway|delivery|library-internals)/|models/|server/(events|errors|logger|limits/places|http/response-end)\\.ts|${shapes})`,
    ),
    mayOnlyTypes:
      /^server\/(feed\/|cluster\/redis|http\/request-guard\.ts|outbox\/(log|event-type)\.ts|auth\/(connections|identity)\.ts)/,
  },
  {
    files: /^server\/http\//,
    may: inFolder(
      'server/http/',
      'server/text/',
      'server/limits/address-key.ts',
      'server/queues/',
      'server/database/connection.ts',
      'server/errors.ts',
      'server/contract.ts',
      'server/logger.ts',
      'server/paths.ts',
      'server/preconditions.ts',
      'server/version.ts',
      'server/config/web-address.ts',
    ),
    mayOnlyTypes: /^server\/(context|auth\/identity|limits\/rate-limits)\.ts$/,
  },
  {
    files: new RegExp(`^server/${capabilities}/schemas\\.ts$`),
    may: new RegExp(
      `^(server/http/(schema|problem)\\.ts|server/events\\.ts|server/(auth/passwords|posts/cursor)\\.ts|server/text/|${shared})`,
    ),
    mayOnlyTypes: /^server\/outbox\/event-type\.ts$/,
  },
  {
    // No door from an address to the tables but commands and queries.
    files: new RegExp(`^server/${capabilities}/routes\\.ts$`),
    may: new RegExp(`^server/(http/|transports/|errors\\.ts|events\\.ts|preconditions\\.ts)|^${shared}`),
    mayOnlyTypes: /^server\/(context|outbox\/event-type)\.ts$/,
  },
  // What can happen to what a capability keeps: told to the log, which knows no capability.
  {
    files: new RegExp(`^server/${capabilities}/events\\.ts$`),
    may: nothing,
    mayOnlyTypes: /^server\/(events|outbox\/event-type)\.ts$/,
  },
  {
    files: new RegExp(`^server/${capabilities}/(policy|present|cursor|identity)\\.ts$`),
    may: new RegExp(`^server/(errors\\.ts|events\\.ts|preconditions\\.ts)|^${shared}`),
    mayOnlyTypes: /^models\//,
  },
  {
    files: new RegExp(`^server/${capabilities}/`),
    may: new RegExp(
      `^(server/(errors\\.ts|events\\.ts|preconditions\\.ts|text/|queues/|limits/address-key\\.ts|outbox/(append|entity-fold|event-type|log)\\.ts|database/(connection|connection-turns|gathering)\\.ts|library-internals/sequelize\\.ts)|models/|${shared})`,
    ),
    mayOnlyTypes: /^server\/(context|logger|feed\/follower|auth\/connections)\.ts$/,
  },
  // The operator's tool: it has a database, a configuration and one part of one capability.
  {
    files: /^server\/invite\//,
    may: /^server\/(invite\/.*|config|logger|database\/.*|users\/invitations)\.ts$/,
  },
  // It knows no capability: what they have it look at is in one list.
  {
    files: /^server\/doctor\//,
    may: /^server\/(doctor|database|outbox|http|cluster|library-internals)\/|^server\/(capability-checks|config|event-registry|logger|redis)\.ts$/,
  },
  // It joins the parts: all of them, and nothing of the front.
  { files: /^server\/context\.ts$/, may: /^(server\/(?!main|app|server)|models\/)/ },
  {
    files: /^server\/app\.ts$/,
    may: new RegExp(
      `^server/(http/|gateway/asyncapi|event-registry\\.ts|${capabilities}/(routes|authenticate|schemas)\\.ts|version\\.ts)`,
    ),
    mayOnlyTypes: /^server\/context\.ts$/,
  },
  // It opens the port, where requests come in one after the other, and what is none comes in too.
  {
    files: /^server\/server\.ts$/,
    may: /^server\/(app|context|config|errors|logger|cluster\/.*|http\/(pipelining|unreadable|bare-problem|address-connections|client-address))\.ts$/,
  },
  {
    files: /^server\/main\.ts$/,
    may: /^server\/(server|shutdown|config|logger|cluster\/.*|database\/.*|limits\/primary-store)\.ts$/,
  },
  { files: /^server\/watchdog\.ts$/, may: nothing },
  { files: /^server\/shutdown\.ts$/, may: /^server\/(watchdog|logger)\.ts$/ },
];

/** Imports that go where they may not, and files that no rule speaks of. */
function violations(sources: Sources): string[] {
  const wrong: string[] = [];
  const ruleOf = (file: string) => {
    const rule = rules.find(({ files }) => files.test(file));
    if (!rule) wrong.push(`${file} is of no kind that is known here`);
    return rule;
  };
  const kinds = new Map([...sources.keys()].map((file) => [file, ruleOf(file)] as const));
  for (const { from, to, typeOnly } of importsOf(sources)) {
    const rule = kinds.get(from);
    if (!rule) continue;
    // Within a folder only circles are a fault.
    const together = dirname(from) === dirname(to) && from.split('/').length > 2;
    if (together || rule.may.test(to) || (typeOnly && rule.mayOnlyTypes?.test(to))) continue;
    wrong.push(`${from} imports ${to}`);
  }
  return wrong;
}

describe('the directions of imports', () => {
  let sources: Map<string, string>;
  let imports: Import[];
  before(async () => {
    sources = await readSources(join(import.meta.dirname, '..'), ['server', 'models']);
    imports = importsOf(sources);
  });

  const planted = (...files: [path: string, text: string][]) => new Map([...sources, ...files]);

  it('are read from the whole server', () => {
    expect(sources.size).to.be.greaterThan(80);
    expect(imports.length).to.be.greaterThan(250);
    for (const { from, to } of imports) expect(sources.has(to), `${from} imports ${to}`).to.be.true;
  });

  it('are kept', () => {
    expect(violations(sources)).to.deep.equal([]);
  });

  it('make no circle, even of types', () => {
    expect(cyclesOf(imports)).to.deep.equal([]);
  });

  for (const [path, text, found] of [
    [
      'server/gateway/planted.ts',
      `import { createPost } from '../posts/commands.ts';`,
      'server/posts/commands.ts',
    ],
    [
      'server/gateway/planted.ts',
      `import type { PostInput } from '../posts/commands.ts';`,
      'server/posts/commands.ts',
    ],
    [
      'server/gateway/planted.ts',
      `import { Follower } from '../feed/follower.ts';`,
      'server/log/follower.ts',
    ],
    [
      'server/feed/planted.ts',
      `const gateway = await import('../gateway/gateway.ts');`,
      'server/transports/socketio/gateway.ts',
    ],
    [
      'server/delivery/planted.ts',
      `import { openEventStream } from '../transports/sse/event-stream.ts';`,
      'server/transports/sse/event-stream.ts',
    ],
    ['server/outbox/planted.ts', `export * from '../feed/ring.ts';`, 'server/log/ring.ts'],
    ['server/outbox/planted.ts', `let x: import('../users/present.ts').OwnUser;`, 'server/users/present.ts'],
    ['server/posts/policy.ts', `import { Post } from '../../models/index.ts';`, 'models/index.ts'],
    ['server/doctor/planted.ts', `import { postFold } from '../posts/fold.ts';`, 'server/posts/fold.ts'],
    ['server/posts/routes.ts', `import { append } from '../outbox/append.ts';`, 'server/log/append.ts'],
    ['server/posts/routes.ts', `import { Post } from '../../models/index.ts';`, 'models/index.ts'],
    [
      'server/posts/commands.ts',
      `import { signUp } from '../users/commands.ts';`,
      'server/users/commands.ts',
    ],
    ['server/posts/commands.ts', `import { createService } from '../context.ts';`, 'server/context.ts'],
    ['server/http/planted.ts', `import { postRoutes } from '../posts/routes.ts';`, 'server/posts/routes.ts'],
    ['server/contract.ts', `import { postEvents } from './posts/events.ts';`, 'server/posts/events.ts'],
    ['server/contract.ts', `import type { Config } from './config.ts';`, 'server/config.ts'],
    [
      'server/errors.ts',
      `import { postEvent } from './posts/event-names.ts';`,
      'server/posts/event-names.ts',
    ],
    ['models/planted.ts', `import { createLogger } from '../server/logger.ts';`, 'server/logger.ts'],
  ] as const)
    it(`would not let ${path} say: ${text}`, () => {
      expect(violations(planted([path, text]))).to.deep.equal([`${path} imports ${found}`]);
    });

  it('would not let a folder come in without a rule', () => {
    expect(violations(planted(['server/helpers/planted.ts', '']))).to.deep.equal([
      'server/helpers/planted.ts is of no kind that is known here',
    ]);
  });

  it('would show a circle of two, of three, of types, and of one with itself', () => {
    for (const circle of [
      [
        ['server/http/a.ts', `import './b.ts';`],
        ['server/http/b.ts', `import type { A } from './a.ts';`],
      ],
      [
        ['server/http/a.ts', `export { b } from './b.ts';`],
        ['server/http/b.ts', `const c = import('./c.ts');`],
        ['server/http/c.ts', `import { type A } from './a.ts';`],
      ],
      [['server/http/a.ts', `import { a } from './a.ts';`]],
    ] as [string, string][][])
      expect(cyclesOf(importsOf(planted(...circle)))).to.deep.equal([circle.map(([path]) => path)]);
  });
});
