import { Buffer } from 'node:buffer';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { OpenApiDocument } from '../server/docs/openapi.ts';
import { packageRoot } from '../server/paths.ts';
import { DocumentedAnswers } from './support/documented-answers.ts';
import { writePost } from './support/posts.ts';
import { execute } from './support/tables.ts';
import { inTurn } from './support/turns.ts';
import { type Answer, createWorld, type World } from './support/world.ts';

/** A package.json and its lock file: the tools are too large to be installed with everything else. */
const TOOLS = join(import.meta.dirname, 'document-tools');
const CACHE = join(packageRoot, 'node_modules/.cache/tidings-document-tools');
/** What one tool may take. Milliseconds. */
const LIMIT = 120_000;
const INSTALL_LIMIT = 600_000;

/**
 * By template alone, `/users/by-name/{username}` could be `/users/{id}/follow` of a user `by-name`. Ids are numbers, which no
 * template can say.
 */
const SAME_BY_TEMPLATE = /^`\/users\/by-name\/\{username\}` and `\/users\/\{id\}\/\w+`$/;

/**
 * There is a newer AsyncAPI, which the readers of documents are only about to learn; and who runs a service may have no e-mail
 * address to tell.
 */
const UNWANTED = ['asyncapi-latest-version', 'asyncapi-info-contact-properties'];

/** These end what the others need, or do not end. */
const LEFT_OUT = ['POST /logout', 'POST /logout/all', 'GET /events/stream'];

/** Their examples stand for what only a mail, a provider or another answer tells. */
const TOKEN_IN_BODY = ['/refresh', '/password/reset', '/email/verify', '/email/undo', '/login'];

const run = promisify(execFile);

/** A folder, or a request. */
interface CollectionItem {
  item?: CollectionItem[];
  request?: { method: string; url: { path: string[] } };
}

interface Execution {
  request: { method: string; url: { path: string[] } };
  response?: { code: number; header: { key: string; value: string }[]; stream: { data: number[] } };
  requestError?: { message: string };
}

describe('the documents, read by the tools of others', function () {
  this.timeout(INSTALL_LIMIT + 60_000);

  let world: World;
  let folder: string;
  let tools: string;

  before(async () => {
    world = await createWorld();
    folder = await mkdtemp(join(tmpdir(), 'tidings-documents-'));
    tools = await installTools();
    for (const name of ['openapi.json', 'asyncapi.json'])
      await writeFile(
        join(folder, name),
        JSON.stringify((await world.anonymous.get<object>(`/${name}`)).body),
      );
  });
  after(async () => {
    await world.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** @returns what a tool wrote, whether it was content or not */
  async function tool(name: string, ...args: string[]): Promise<string> {
    try {
      const { stdout } = await run(join(tools, 'node_modules/.bin', name), args, {
        cwd: folder,
        timeout: LIMIT,
        maxBuffer: 64 * 1024 * 1024,
        env: { PATH: process.env.PATH, HOME: folder, REDOCLY_TELEMETRY: 'off', CI: 'true' },
      });
      return stdout;
    } catch (error) {
      const { stdout, stderr, killed } = error as { stdout?: string; stderr?: string; killed?: boolean };
      if (killed === true || !stdout)
        throw new Error(`${name} failed: ${stderr ?? String(error)}`, { cause: error });
      return stdout;
    }
  }

  it('are lint clean with redocly', async () => {
    for (const name of ['openapi.json', 'asyncapi.json']) {
      const told = await tool('redocly', 'lint', '--extends', 'recommended', '--format', 'json', name);
      const { problems } = JSON.parse(told) as { problems: { ruleId: string; message: string }[] };
      const faults = problems.filter(({ ruleId, message }) => {
        const paths = message.split('Found two ambiguous paths: ')[1]?.replace(/\.$/, '') ?? '';
        return !(ruleId === 'no-ambiguous-paths' && SAME_BY_TEMPLATE.test(paths));
      });
      expect(faults, name).to.deep.equal([]);
    }
  });

  it('are lint clean with spectral', async () => {
    await writeFile(join(folder, '.spectral.yaml'), 'extends: ["spectral:oas", "spectral:asyncapi"]\n');
    const told = await tool('spectral', 'lint', '--quiet', '-f', 'json', 'openapi.json', 'asyncapi.json');
    const faults = (JSON.parse(told) as { code: string; message: string; path: string[] }[]).filter(
      ({ code }) => !UNWANTED.includes(code),
    );
    expect(faults).to.deep.equal([]);
  });

  it('would be caught with a fault', async () => {
    await writeFile(join(folder, '.spectral.yaml'), 'extends: ["spectral:oas"]\n');
    const wrong = (await world.anonymous.get<OpenApiDocument>('/openapi.json')).body;
    wrong.paths['/login']!.post!.operationId = 'postRefresh';
    await writeFile(join(folder, 'wrong.json'), JSON.stringify(wrong));
    const spectral = await tool('spectral', 'lint', '--quiet', '-f', 'json', 'wrong.json');
    expect(spectral).to.include('operation-operationId-unique');
    const redocly = await tool(
      'redocly',
      'lint',
      '--extends',
      'recommended',
      '--format',
      'json',
      'wrong.json',
    );
    expect(redocly).to.include('operation-operationId-unique');
  });

  it('give types that compile, in which an optional field is optional', async () => {
    await tool('openapi-typescript', 'openapi.json', '-o', 'api.d.ts');
    await writeFile(
      join(folder, 'uses.ts'),
      `import type { components, operations } from './api.d.ts';
const post: components['schemas']['CreatePost'] = { title: 'Hello', content: 'First words.' };
const draft: components['schemas']['CreatePost'] = { ...post, published: false };
type Query = NonNullable<operations['getPosts']['parameters']['query']>;
export const queries: Query[] = [{}, { limit: 5, sort: 'hot' }];
type Refused = operations['postLogin']['responses'][403]['content']['application/problem+json'];
export const until = (refused: Refused): string | null | undefined => refused.until;
// @ts-expect-error -- a post has a title
export const without: components['schemas']['CreatePost'] = { content: draft.content };
`,
    );
    const faults = await tool('tsc', '--strict', '--noEmit', '--module', 'nodenext', 'uses.ts');
    expect(faults).to.equal('');
  });

  it('give a Postman collection that runs', async () => {
    const user = await world.user();
    await world.user();
    await execute(world, `update users set role = 'moderator' where id = ${user.id}`);
    for (const title of ['One', 'Two']) await writePost(user, { title });

    const options = 'folderStrategy=Tags,parametersResolution=Example,enableOptionalParameters=false';
    await tool('openapi2postmanv2', '-s', 'openapi.json', '-o', 'collection.json', '-O', options);
    const collection = join(folder, 'collection.json');
    const made = JSON.parse(await readFile(collection, 'utf8')) as CollectionItem;
    await writeFile(collection, JSON.stringify(withoutLeftOut(made)));
    const variables = { baseUrl: world.url, bearerToken: user.token };
    const report = join(folder, 'report.json');
    await tool(
      ...['newman', 'run', collection, '--timeout-request', '20000'],
      ...['--reporters', 'json', '--reporter-json-export', report],
      ...Object.entries(variables).flatMap(([name, value]) => ['--env-var', `${name}=${value}`]),
    );
    const { run: ran } = JSON.parse(await readFile(report, 'utf8')) as { run: { executions: Execution[] } };

    const { paths } = JSON.parse(await readFile(join(folder, 'openapi.json'), 'utf8')) as OpenApiDocument;
    const told = Object.values(paths).flatMap((methods) => Object.keys(methods)).length;
    expect(ran.executions).to.have.lengthOf(told - LEFT_OUT.length);
    const answers = new DocumentedAnswers((await world.anonymous.get<OpenApiDocument>('/openapi.json')).body);
    const faults: string[] = [];
    let done = 0;
    for (const { request, response, requestError } of ran.executions) {
      const path = `/${request.url.path.join('/')}`;
      const what = `${request.method} ${path}`;
      if (!response) {
        faults.push(`${what}: ${requestError?.message ?? 'no answer'}`);
        continue;
      }
      const answer = answerOf(response);
      const fault = answers.fault(request.method.toLowerCase(), path, answer);
      // The last page has no link to a next one.
      if (fault !== undefined && !fault.endsWith('lacks the header Link')) faults.push(fault);
      if (answer.status < 400) done += 1;
      else if (!isRefusalOfExample(path, answer.status)) faults.push(`${what}: ${answer.status}`);
    }
    expect(faults).to.deep.equal([]);
    expect(done).to.be.greaterThan(40);
  });
});

/** Installs them once for all runs, as the lock file says. @returns where */
function installTools(): Promise<string> {
  return inTurn('tidings-document-tools-install', async () => {
    const hash = createHash('sha256').update(await readFile(join(TOOLS, 'package-lock.json')));
    const place = join(CACHE, hash.digest('hex').slice(0, 16));
    if (existsSync(place)) return place;
    await rm(CACHE, { recursive: true, force: true });
    const unfinished = `${place}.unfinished`;
    await mkdir(CACHE, { recursive: true });
    await cp(TOOLS, unfinished, { recursive: true });
    const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier'];
    await run('npm', ['ci', ...quiet], { cwd: unfinished, timeout: INSTALL_LIMIT });
    await rename(unfinished, place);
    return place;
  });
}

/** A collection without the requests that end what the others need. */
function withoutLeftOut(item: CollectionItem): CollectionItem {
  if (!item.item) return item;
  const stays = ({ request }: CollectionItem) =>
    !request || !LEFT_OUT.includes(`${request.method} /${request.url.path.join('/')}`);
  return { ...item, item: item.item.filter(stays).map(withoutLeftOut) };
}

function answerOf({ code, header, stream }: NonNullable<Execution['response']>): Answer {
  const headers = new Headers(header.map(({ key, value }): [string, string] => [key, value]));
  const text = Buffer.from(stream.data).toString();
  const isJson = /[/+]json/.test(headers.get('content-type') ?? '');
  return { status: code, headers, body: isJson ? JSON.parse(text) : text };
}

/** Whether an example is refused for what it names, not for how it is written or for who sends it. */
function isRefusalOfExample(path: string, status: number): boolean {
  if (status === 401) return TOKEN_IN_BODY.includes(path);
  // Nobody reports a post of their own.
  if (status === 422) return path.endsWith('/report');
  return [403, 404, 409].includes(status);
}
