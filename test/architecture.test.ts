import { expect } from 'chai';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cyclesOf, type Import, importsOf, readSources, type Sources } from './support/import-graph.ts';

/** What a folder may import, as the beginnings of paths: `server/` stands before each, unless it is `models/`. */
interface Uses {
  values?: readonly string[];
  /** Of these only types: the one who joins the parts passes the values. */
  types?: readonly string[];
}

/** Loops, time limits and single flight: what any part may need, and what knows none. */
const everywhere = 'server/async/';

const ground = [
  'errors.ts',
  'identity.ts',
  'keyset-cursor.ts',
  'logger.ts',
  'own-xid.ts',
  'preconditions.ts',
  'protocol.ts',
  'public-thread.ts',
];

/**
 * The folders that are no capabilities, from the bottom up. A capability is a folder that has a `routes.ts`: nobody keeps a
 * list of them. A folder that is not here and is no capability is a fault.
 */
const folders: Record<string, Uses> = {
  'models/': {},
  [everywhere]: {},
  'server/text/': {},
  'server/queues/': {},
  // What is used of libraries beyond their documentation: anyone who needs it comes here.
  'server/library-internals/': {},
  // What DATABASE_URL and REDIS_URL may be is told where it is read.
  'server/config/': { values: ['text/email.ts'] },
  'server/topics/': { values: ['text/tags.ts'], types: ['identity.ts'] },
  'server/log/': {
    values: [
      'topics/',
      'models/',
      'library-internals/sequelize.ts',
      'own-xid.ts',
      'public-thread.ts',
      'text/uuid.ts',
    ],
    types: ['logger.ts', 'protocol.ts'],
  },
  'server/counters/': { values: ['own-xid.ts', 'public-thread.ts'], types: ['logger.ts', 'protocol.ts'] },
  'server/database/': {
    values: [
      'config/',
      'config.ts',
      'connection-attempts.ts',
      'library-internals/',
      'logger.ts',
      'models/',
      'paths.ts',
      'queues/',
      'stop-signals.ts',
    ],
  },
  'server/cluster/': { values: ['config/', 'errors.ts'], types: ['log/', 'logger.ts', 'protocol.ts'] },
  'server/limits/': {
    values: ['cluster/', 'config/', 'errors.ts', 'text/time-span.ts'],
    types: ['identity.ts', 'logger.ts'],
  },
  'server/http/': {
    values: ['config/', 'errors.ts', 'limits/address-key.ts'],
    types: ['logger.ts', 'queues/'],
  },
  'server/ops/': {
    values: ['errors.ts', 'limits/address-key.ts'],
    types: ['http/pending-responses.ts', 'logger.ts'],
  },
  // Mails that wait in the database, and who sends them. It knows no capability.
  'server/mail/': {
    values: [
      'database/',
      'errors.ts',
      'library-internals/sequelize.ts',
      'limits/keyed-hash.ts',
      'queues/',
      'text/time-span.ts',
    ],
    types: ['config/', 'logger.ts', 'models/', 'ops/metrics.ts'],
  },
  'server/api/': {
    values: [
      ...ground,
      'database/connection.ts',
      'http/',
      'limits/address-key.ts',
      'queues/',
      'text/',
      'topics/',
    ],
    types: ['database/', 'limits/rate-limits.ts'],
  },
  // It knows subscribers, and no transport.
  'server/delivery/': {
    values: [
      'errors.ts',
      'identity.ts',
      'log/(reader|shared-pages|topic-positions).ts',
      'queues/',
      'topics/',
    ],
    types: ['log/', 'logger.ts', 'ops/metrics.ts', 'protocol.ts'],
  },
  // Three doors to the one delivery. None of them knows an event, or a capability.
  'server/transports/': {
    values: [
      ...ground,
      'api/problem.ts',
      'api/schema.ts',
      'api/topics.ts',
      'delivery/',
      'http/',
      'library-internals/',
      'limits/',
      'queues/',
      'topics/',
    ],
    types: ['counters/', 'log/', 'ops/metrics.ts'],
  },
  'server/docs/': {
    values: [
      'api/',
      'errors.ts',
      'http/',
      'paths.ts',
      'transports/socketio/message-schemas.ts',
      'transports/socketio/requests.ts',
      'transports/socketio/schemas.ts',
      'version.ts',
    ],
    types: ['config.ts', 'topics/'],
  },
  // It builds the parts: of all folders, and nothing of the front.
  'server/service/': {
    values: ['[a-z-]+/', '(config|errors|identity|logger|protocol|redis|time-limits|version)\\.ts'],
  },
  // The operator's tools. Doctor knows no capability: what they have it look at is in one list.
  'server/doctor/': {
    values: [
      'capability-checks.ts',
      'cluster/',
      'command-line.ts',
      'config.ts',
      'config/',
      'database/',
      'event-registry.ts',
      'library-internals/',
      'log/',
      'logger.ts',
      'ops/metrics.ts',
      'redis.ts',
      'text/time-span.ts',
    ],
    types: ['topics/'],
  },
  'server/admin/': {
    values: [
      'command-line.ts',
      'config.ts',
      'config/',
      'database/',
      'errors.ts',
      'logger.ts',
      'models/',
      'moderation/(audit|roles).ts',
      'auth/(reset-link|second-factor|stored-secret).ts',
      'mail/',
    ],
  },
  'server/invite/': {
    values: ['command-line.ts', 'config.ts', 'config/', 'database/', 'logger.ts', 'users/invitations.ts'],
  },
};

/**
 * What one capability may use of another: its shapes, how a thing is shown, removed and noted, who may do and see what, and how
 * an owner proves to be one.
 */
const shared = '[a-z-]+/(audit|event-names|event-payloads|events|owner|policy|present|removal|schemas)\\.ts';

/** The kinds of files that a capability has, by their names. Of the other files of its own folder each may use any. */
const kinds: [name: RegExp, uses: Uses][] = [
  // The client package has a copy of them.
  [/^event-(names|payloads)\.ts$/, {}],
  // What can happen to what the capability keeps: told to the log, which knows no capability.
  [/^events\.ts$/, { types: ['topics/', 'protocol.ts'] }],
  [
    /^schemas\.ts$/,
    { values: ['identity.ts', 'api/(problem|schema|topics).ts', 'text/', shared], types: ['topics/'] },
  ],
  // No door from an address to the tables but commands and queries.
  [/^routes\.ts$/, { values: [...ground, 'api/', 'transports/', shared], types: ['topics/'] }],
  [/^(policy|present|cursor)\.ts$/, { values: [...ground, shared], types: ['models/'] }],
  [
    /^(checks|fold)\.ts$/,
    {
      values: [
        'database/(check|select).ts',
        'library-internals/sequelize.ts',
        'log/append.ts',
        'public-thread.ts',
        'text/time-span.ts',
        'topics/',
        shared,
      ],
    },
  ],
  [
    /./,
    {
      values: [
        ...ground,
        'database/',
        'library-internals/sequelize.ts',
        'limits/',
        'log/append.ts',
        'log/numbering.ts',
        'log/reader.ts',
        'mail/',
        'models/',
        'queues/',
        'text/',
        'topics/',
        shared,
      ],
      types: ['config.ts', 'delivery/connections.ts', 'log/', 'ops/metrics.ts'],
    },
  ],
];

/** The files under all folders, and those that join the parts. */
const files: Record<string, Uses> = {
  'errors.ts': { types: ['protocol.ts'] },
  'identity.ts': {},
  'keyset-cursor.ts': { values: ['errors.ts'] },
  'logger.ts': {},
  'paths.ts': {},
  'preconditions.ts': { values: ['errors.ts'] },
  'protocol.ts': {},
  // SQL that the log and the tallies need of posts: they know no capability.
  'own-xid.ts': {},
  'public-thread.ts': {},
  'version.ts': { values: ['paths.ts'] },
  'config.ts': { values: ['config/', 'library-internals/fast-paths.ts'] },
  // What clients are told, in types: what is the same for all events, and the events of each capability.
  'contract.ts': { types: ['[a-z-]+/event-payloads\\.ts', 'protocol.ts'] },
  // What the capabilities bring, joined.
  'event-registry.ts': { values: ['[a-z-]+/events\\.ts'], types: ['topics/'] },
  'time-limits.ts': {},
  'prunes.ts': {
    values: ['[a-z-]+/prune\\.ts', 'log/retention.ts'],
    types: ['config.ts', 'database/pruner.ts'],
  },
  'capability-checks.ts': {
    values: ['[a-z-]+/(checks|fold)\\.ts', 'sealed-columns.ts'],
    types: ['database/check.ts', 'topics/'],
  },
  'sealed-columns.ts': { values: ['mail/'], types: ['config.ts', 'database/check.ts'] },
  // What a node does over Redis, joined.
  'redis.ts': {
    values: ['cluster/', 'database/installation.ts', 'limits/'],
    types: ['config.ts', 'config/', 'database/connection.ts', 'logger.ts', 'ops/metrics.ts'],
  },
  'context.ts': { types: ['.*'] },
  'service.ts': { values: ['(?!(main|program|app|server)\\.ts).*'] },
  'app.ts': {
    values: [
      '[a-z-]+/(authenticate|authorise|routes|schemas|shared-link)\\.ts',
      'api/',
      'docs/',
      'errors.ts',
      'event-registry.ts',
      'http/',
      'ops/',
      'version.ts',
    ],
    types: ['context.ts'],
  },
  // It opens the port, where requests come in one after the other, and what is none comes in too.
  'server.ts': {
    values: [
      'app.ts',
      'cluster/',
      'service.ts',
      'errors.ts',
      'file-limit.ts',
      'http/',
      'limits/address-connections.ts',
      'time-limits.ts',
    ],
    types: ['config.ts', 'logger.ts'],
  },
  'command-line.ts': {},
  'file-limit.ts': {},
  'stop-signals.ts': {},
  'connection-attempts.ts': {},
  'watchdog.ts': {},
  'shutdown.ts': { values: ['watchdog.ts'], types: ['logger.ts'] },
  'main.ts': { values: ['program.ts'] },
  'program.ts': {
    values: [
      'cluster/',
      'command-line.ts',
      'config.ts',
      'config/',
      'connection-attempts.ts',
      'database/',
      'file-limit.ts',
      'library-internals/self-check.ts',
      'limits/primary-store.ts',
      'logger.ts',
      'server.ts',
      'shutdown.ts',
      'stop-signals.ts',
    ],
  },
};

/** The folder that a file is in, or the file itself if it is in none. */
function unitOf(file: string): string {
  const [top = '', folder = '', ...rest] = file.split('/');
  if (top === 'models') return 'models/';
  return rest.length > 0 ? `server/${folder}/` : file;
}

function capabilitiesOf(sources: Sources): ReadonlySet<string> {
  return new Set([...sources.keys()].filter((file) => /^server\/[^/]+\/routes\.ts$/.test(file)).map(unitOf));
}

function usesOf(file: string, capabilities: ReadonlySet<string>): Uses | undefined {
  const unit = unitOf(file);
  if (unit === file) return files[file.slice('server/'.length)];
  if (!capabilities.has(unit)) return folders[unit];
  const name = file.slice(unit.length);
  return kinds.find(([of]) => of.test(name))?.[1];
}

function allows(paths: readonly string[] | undefined, to: string): boolean {
  return (paths ?? []).some((path) =>
    new RegExp(`^${path.startsWith('models/') ? '' : 'server/'}${path}`).test(to),
  );
}

/** Imports that go where they may not, and files that are of no kind. */
function violations(sources: Sources): string[] {
  const capabilities = capabilitiesOf(sources);
  const wrong: string[] = [];
  for (const file of sources.keys())
    if (!usesOf(file, capabilities)) wrong.push(`${file} is of no kind that is known here`);
  for (const { from, to, typeOnly } of importsOf(sources)) {
    const uses = usesOf(from, capabilities);
    // Within a folder only circles are a fault.
    if (!uses || (unitOf(from) === unitOf(to) && from !== to && unitOf(from) !== from)) continue;
    if (to.startsWith(everywhere) || allows(uses.values, to) || (typeOnly && allows(uses.types, to)))
      continue;
    wrong.push(`${from} imports ${to}`);
  }
  return wrong;
}

/** Folders that import each other in a circle, by whichever of their files, types included. */
function circlesOfFolders(sources: Sources): string[][] {
  const between = importsOf(sources)
    .map(({ from, to, typeOnly }) => ({ from: unitOf(from), to: unitOf(to), typeOnly }))
    .filter(({ from, to }) => from !== to);
  return cyclesOf(between);
}

describe('the directions of imports', () => {
  let sources: Map<string, string>;
  let imports: Import[];
  before(async () => {
    sources = await readSources(join(import.meta.dirname, '..'), ['server', 'models']);
    imports = importsOf(sources);
  });

  const planted = (...added: [path: string, text: string][]) => new Map([...sources, ...added]);
  /** What is wrong with these files that is not wrong without them. */
  const newViolations = (...added: [path: string, text: string][]) => {
    const known = new Set(violations(sources));
    return violations(planted(...added)).filter((violation) => !known.has(violation));
  };

  it('are read from the whole server', () => {
    expect(sources.size).to.be.greaterThan(80);
    expect(imports.length).to.be.greaterThan(250);
    for (const { from, to } of imports) expect(sources.has(to), `${from} imports ${to}`).to.be.true;
    expect([...capabilitiesOf(sources)]).to.include.members(['server/posts/', 'server/events/']);
  });

  it('are kept', () => {
    expect(violations(sources)).to.deep.equal([]);
  });

  it('make no circle of files, even of types', () => {
    expect(cyclesOf(imports)).to.deep.equal([]);
  });

  it('make no circle of folders, even of types', () => {
    expect(circlesOfFolders(sources)).to.deep.equal([]);
  });

  it('lead down from every folder, in the order in which the folders are told', () => {
    const order = Object.keys(folders);
    const up = Object.entries(folders).flatMap(([folder, { values = [], types = [] }], place) =>
      [...values, ...types]
        .filter(
          (path) => order.indexOf(unitOf(path.startsWith('models/') ? path : `server/${path}x`)) >= place,
        )
        .map((path) => `${folder} uses ${path}`),
    );
    expect(up).to.deep.equal([]);
  });

  it('are told of no folder or file that is not there', () => {
    const units = new Set([...sources.keys()].map(unitOf));
    const told = [...Object.keys(folders), ...Object.keys(files).map((file) => `server/${file}`)];
    expect(told.filter((unit) => !units.has(unit))).to.deep.equal([]);
  });

  it('have each folder told in CONTRIBUTING.md', async () => {
    const text = await readFile(join(import.meta.dirname, '../CONTRIBUTING.md'), 'utf8');
    const units = [...new Set([...sources.keys()].map(unitOf))].filter((unit) => /^server\/.*\/$/.test(unit));
    const names = units.map((unit) => `\`${unit.slice('server/'.length, -1)}\``);
    const table = text.split('\n').filter((line) => line.startsWith('| '));
    expect(names.filter((name) => !table.some((row) => row.includes(name)))).to.deep.equal([]);
  });

  it('lead to no file in CONTRIBUTING.md that is not there', async () => {
    const root = join(import.meta.dirname, '..');
    const text = await readFile(join(root, 'CONTRIBUTING.md'), 'utf8');
    const paths = (await readdir(join(root, 'server'), { recursive: true })).map((path) => `/server/${path}`);
    const named = [...text.matchAll(/`([a-z_/.-]+\.(?:ts|sql))`/g)].map(([, path = '']) => path);
    expect(named.length).to.be.greaterThan(20);
    const lost = named.filter(
      (name) => !existsSync(join(root, name)) && !paths.some((path) => path.endsWith(`/${name}`)),
    );
    expect(lost).to.deep.equal([]);
  });

  for (const [path, text, found] of [
    [
      'server/transports/socketio/planted.ts',
      `import { createPost } from '../../posts/commands.ts';`,
      'server/posts/commands.ts',
    ],
    [
      'server/transports/socketio/planted.ts',
      `import type { PostInput } from '../../posts/commands.ts';`,
      'server/posts/commands.ts',
    ],
    [
      'server/transports/socketio/planted.ts',
      `import type { FeedEvents } from '../../contract.ts';`,
      'server/contract.ts',
    ],
    [
      'server/transports/socketio/planted.ts',
      `import { Follower } from '../../log/follower.ts';`,
      'server/log/follower.ts',
    ],
    [
      'server/log/planted.ts',
      `const gateway = await import('../transports/socketio/gateway.ts');`,
      'server/transports/socketio/gateway.ts',
    ],
    [
      'server/delivery/planted.ts',
      `import { openEventStream } from '../transports/sse/event-stream.ts';`,
      'server/transports/sse/event-stream.ts',
    ],
    ['server/topics/planted.ts', `export * from '../log/ring-buffer.ts';`, 'server/log/ring-buffer.ts'],
    ['server/log/planted.ts', `let x: import('../users/present.ts').OwnUser;`, 'server/users/present.ts'],
    ['server/posts/policy.ts', `import { Post } from '../../models/index.ts';`, 'models/index.ts'],
    ['server/doctor/planted.ts', `import { postFold } from '../posts/fold.ts';`, 'server/posts/fold.ts'],
    ['server/posts/routes.ts', `import { append } from '../log/append.ts';`, 'server/log/append.ts'],
    ['server/posts/routes.ts', `import { Post } from '../../models/index.ts';`, 'models/index.ts'],
    [
      'server/posts/commands.ts',
      `import { signUp } from '../users/commands.ts';`,
      'server/users/commands.ts',
    ],
    ['server/posts/commands.ts', `import type { Context } from '../context.ts';`, 'server/context.ts'],
    ['server/api/planted.ts', `import type { Context } from '../context.ts';`, 'server/context.ts'],
    ['server/api/planted.ts', `import { postRoutes } from '../posts/routes.ts';`, 'server/posts/routes.ts'],
    ['server/contract.ts', `import { postEvents } from './posts/events.ts';`, 'server/posts/events.ts'],
    ['server/protocol.ts', `import type { Config } from './config.ts';`, 'server/config.ts'],
    [
      'server/errors.ts',
      `import { postEvent } from './posts/event-names.ts';`,
      'server/posts/event-names.ts',
    ],
    ['models/planted.ts', `import { createLogger } from '../server/logger.ts';`, 'server/logger.ts'],
  ] as const)
    it(`would not let ${path} say: ${text}`, () => {
      expect(newViolations([path, text])).to.deep.equal([`${path} imports ${found}`]);
    });

  it('hold for a capability that comes in', () => {
    const routes: [string, string] = ['server/follows/routes.ts', `import { route } from '../api/route.ts';`];
    expect(newViolations(routes, ['server/follows/commands.ts', ''])).to.deep.equal([]);
    const reaching = `import { createPost } from '../posts/commands.ts';`;
    expect(newViolations(routes, ['server/follows/commands.ts', reaching])).to.deep.equal([
      'server/follows/commands.ts imports server/posts/commands.ts',
    ]);
  });

  it('would not let a folder or a file come in that is of no kind', () => {
    expect(newViolations(['server/helpers/planted.ts', ''], ['server/planted.ts', ''])).to.deep.equal([
      'server/helpers/planted.ts is of no kind that is known here',
      'server/planted.ts is of no kind that is known here',
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

  it('would show a circle of folders whose files make none', () => {
    const circle: [string, string][] = [
      ['server/text/a.ts', `import '../queues/b.ts';`],
      ['server/queues/b.ts', ''],
      ['server/queues/c.ts', `import type { D } from '../text/d.ts';`],
      ['server/text/d.ts', ''],
    ];
    expect(cyclesOf(importsOf(planted(...circle)))).to.deep.equal([]);
    expect(circlesOfFolders(planted(...circle))).to.deep.equal([['server/queues/', 'server/text/']]);
  });
});
