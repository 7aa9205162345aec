import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type Client, createClient, TidingsError } from '../client/src/index.ts';
import { freePort } from '../server/database/embedded/postmaster.ts';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from './support/browser.ts';
import { lineReader, NodeProcess } from './support/node-process.ts';
import { ClientProject } from './support/packed-client.ts';
import { PageServer } from './support/page-server.ts';
import { createDatabase, type TestDatabase } from './support/postgres.ts';
import { until } from './support/waiting.ts';
import { PASSWORD } from './support/world.ts';

const EXAMPLES = join(packageRoot, 'examples');
/** Starts of a service and of programs are waited for as long as a slow machine takes. Milliseconds. */
const LONG = 120_000;

/** A program that runs, with the lines that it has printed. */
interface Running {
  printed: string[];
  /** The number of the event in the last of them. */
  seq: number;
  /** What it said of its connection. */
  said: string;
  stop(): Promise<void>;
}

describe('the examples, while their node is killed and comes back', function () {
  this.timeout(600_000);
  let database: TestDatabase;
  let dataDir: string;
  let node: NodeProcess;
  let writer: Client;
  let pages: PageServer;
  let children: Set<ChildProcess>;

  before(async () => {
    database = await createDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'tidings-examples-'));
    pages = await PageServer.start();
    node = new NodeProcess({
      name: 'node',
      env: {
        PORT: String(await freePort()),
        DATABASE_URL: database.url,
        DATA_DIR: dataDir,
        JWT_SECRET: randomBytes(48).toString('base64'),
        BCRYPT_COST: '4',
        RATE_LIMITS: 'off',
        LOG_LEVEL: 'trace',
        CORS_ORIGINS: pages.origin,
      },
    });
    await node.start();
    writer = createClient({ url: node.url });
    await writer.signUp({ email: 'writer@example.org', password: PASSWORD, username: 'writer' });
  });
  after(async () => {
    await node.kill();
    await pages.close();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });
  beforeEach(() => {
    children = new Set();
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    expect(node.misconduct).to.deep.equal([]);
  });

  /** Publishes one post, once, however long the node is away. */
  async function publish(title: string): Promise<string> {
    const idempotencyKey = randomUUID();
    for (;;) {
      try {
        await writer.posts.create({ title, content: '' }, { idempotencyKey });
        return title;
      } catch (error) {
        if (!(error instanceof TidingsError && error.temporary)) throw error;
      }
    }
  }

  /** Posts before, during and after a restart of a node that was killed. @returns their titles, in order */
  async function publishThroughRestart(name: string): Promise<string[]> {
    const titles: string[] = [];
    const some = async (count: number) => {
      for (let at = 0; at < count; at += 1) titles.push(await publish(`${name} ${titles.length + 1}`));
    };
    await some(3);
    await node.kill();
    const meanwhile = some(2);
    await node.start();
    await meanwhile;
    await some(3);
    return titles;
  }

  function run(command: string, args: string[], cwd: string, env: Record<string, string>): Running {
    const child = spawn(command, args, {
      cwd,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, TIDINGS_URL: node.url, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    const program: Running = {
      printed: [],
      seq: 0,
      said: '',
      stop: async () => {
        const ended = once(child, 'close');
        child.kill('SIGTERM');
        await ended;
        children.delete(child);
      },
    };
    child.stdout.on(
      'data',
      lineReader((line) => {
        const { seq, title } = JSON.parse(line) as { seq: number; title: string };
        program.printed.push(title);
        program.seq = seq;
      }),
    );
    child.stderr.on('data', (chunk: Buffer) => (program.said += chunk.toString()));
    return program;
  }

  /** What holds for each program that follows the feed and keeps its position in a file. */
  async function followsThroughAll(
    name: string,
    start: (folder: string) => Running,
    live: RegExp,
  ): Promise<void> {
    const folder = await mkdtemp(join(dataDir, 'program-'));
    const first = start(folder);
    await until(`${name} to be live`, () => live.test(first.said), LONG).catch((error: unknown) => {
      throw new Error(`${name} said: ${first.said}`, { cause: error });
    });
    const titles = await publishThroughRestart(name);
    await until('all posts to have come', () => first.printed.length >= titles.length, LONG);
    expect(first.printed).to.deep.equal(titles);
    // A program that is killed before it has kept its position does the last thing again.
    await until('the position to be kept', async () => (await keptPosition(folder)) >= first.seq);
    await first.stop();

    const missed = [await publish(`${name} missed`), await publish(`${name} missed too`)];
    const second = start(folder);
    await until('what was missed to have come', () => second.printed.length >= missed.length, LONG);
    await publish(`${name} last`);
    await until('the last post to have come', () => second.printed.at(-1) === `${name} last`, LONG);
    expect(second.printed).to.deep.equal([...missed, `${name} last`]);
    await second.stop();
  }

  it('follow in a terminal, in Python', async () => {
    const python = await pythonWithSocketIo();
    await followsThroughAll(
      'python',
      (folder) =>
        run(python, [join(EXAMPLES, 'terminal-client/listen.py')], folder, {
          TIDINGS_EMAIL: 'writer@example.org',
          TIDINGS_PASSWORD: PASSWORD,
          PYTHONDONTWRITEBYTECODE: '1',
        }),
      /^live: /m,
    );
  });

  it('follow on another server, over server-sent events with an API key', async () => {
    const answer = await fetch(`${node.url}/users/me/keys`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${await writer.session.accessToken()}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ name: 'Consumer', scopes: ['read'], password: PASSWORD }),
    });
    expect(answer.status).to.equal(201);
    const { key } = (await answer.json()) as { key: string };
    await followsThroughAll(
      'consumer',
      (folder) =>
        run(process.execPath, [join(EXAMPLES, 'server-consumer/consume.mjs')], folder, { TIDINGS_KEY: key }),
      /^connected$/m,
    );
  });

  it('show the feed in a browser, with React, from the packed client', async () => {
    const project = await ClientProject.of(join(EXAMPLES, 'react-feed'), 'react', 'react-dom', 'vite');
    // In this process the loader of the tests would keep Vite from its own modules.
    await project.node(['node_modules/vite/bin/vite.js', 'build'], { VITE_TIDINGS_URL: node.url });
    pages.folder = join(project.folder, 'dist');
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const errors: Error[] = [];
      page.on('pageerror', (error) => errors.push(error));
      const titles = async () =>
        (await page.getByRole('heading', { level: 2 }).allTextContents()).filter((title) =>
          title.startsWith('react'),
        );
      await page.goto(pages.origin);
      await page.getByPlaceholder('E-mail').fill('reader@example.org');
      await page.getByPlaceholder('Password').fill('wrong');
      await page.getByRole('button', { name: 'Sign up' }).click();
      await page.getByRole('alert').waitFor();
      expect(await page.getByPlaceholder('E-mail').inputValue()).to.equal('reader@example.org');
      await page.getByPlaceholder('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign up' }).click();
      await page.getByRole('status').getByText('live').waitFor();

      await page.getByPlaceholder('What is new?').fill('react 0');
      await page.getByRole('button', { name: 'Publish' }).click();
      const post = page.getByRole('article').filter({ hasText: 'react 0' });
      await post.getByRole('button', { name: '0 votes' }).click();
      await post.getByRole('button', { name: '1 votes', pressed: true }).waitFor();
      const [own] = (await writer.posts.list({ limit: 1 })).posts;
      await writer.posts.reply(own!.id, { content: 'Hello from the writer' });
      await page.getByText('1 unread').click();
      await page.getByText('writer replied to you').waitFor();
      await page.getByRole('button', { name: 'Mark as read' }).click();
      await page.getByText('0 unread').waitFor();
      await post.getByRole('button', { name: '1 replies' }).click();
      await post.getByText('writer: Hello from the writer').waitFor();

      const wanted = ['react 0', ...(await publishThroughRestart('react'))].reverse();
      await until('all posts to be shown', async () => (await titles()).length >= wanted.length, LONG);
      expect(await titles()).to.deep.equal(wanted);
      await page.getByRole('status').getByText('live').waitFor();
      await page.reload();
      await page.getByRole('button', { name: '1 votes', pressed: true }).waitFor();
      expect(await titles()).to.deep.equal(wanted);
      expect(errors).to.deep.equal([]);
    } finally {
      await browser.close();
      await project.close();
    }
  });
});

/** The number of the event in the one file of a folder, which ends with it. */
async function keptPosition(folder: string): Promise<number> {
  const [name = ''] = await readdir(folder);
  const text = await readFile(join(folder, name), 'utf8').catch(() => '');
  return Number(/(\d+)\D*$/.exec(text)?.[1] ?? 0);
}

/** Debian's own Python, or another one that has python-socketio. @throws with the one line to type where there is none */
async function pythonWithSocketIo(): Promise<string> {
  for (const python of ['/usr/bin/python3', 'python3']) {
    const has = await promisify(execFile)(python, ['-c', 'import requests, socketio, websocket']).then(
      () => true,
      () => false,
    );
    if (has) return python;
  }
  const packages = 'python3-socketio python3-requests python3-websocket';
  throw new Error(`No Python has socketio. On Debian and Ubuntu: apt-get install -y ${packages}`);
}
