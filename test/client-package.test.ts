import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { expect } from 'chai';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { compile as compileSvelte } from 'svelte/compiler';
import ts from 'typescript';
import { build, type Rolldown } from 'vite';
import { compileScript, parse as parseVue } from 'vue/compiler-sfc';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from './support/browser.ts';
import { CookieFront } from './support/cookie-front.ts';
import { ClientProject, packedClient } from './support/packed-client.ts';
import { PageServer } from './support/page-server.ts';
import { type Snippet, snippetsOf } from './support/readme-snippets.ts';
import { execute } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

const ENTRIES = ['tidings-client', 'tidings-client/react', 'tidings-client/vue', 'tidings-client/svelte'];
/** The largest tarball. Bytes. */
const MAX_SIZE = 155_000;

describe('the client as it is packed', function () {
  this.timeout(600_000);
  let tarball: string;
  let project: ClientProject;

  before(async () => {
    tarball = await packedClient();
    project = await ClientProject.open();
  });
  after(() => project.close());

  it('is small, has its licence, and brings nothing along but socket.io-client', async () => {
    const { stdout } = await promisify(execFile)('tar', ['-tf', tarball]);
    const others = stdout
      .trim()
      .split('\n')
      .filter((name) => !/^package\/dist\/(?!.*\.ts$)|\.d\.ts$/.test(name));
    expect(others).to.have.members(['package/LICENSE', 'package/README.md', 'package/package.json']);
    expect((await stat(tarball)).size).to.be.below(MAX_SIZE);
    const licence = (folder: string) => readFile(join(packageRoot, folder, 'LICENSE'), 'utf8');
    expect(await licence('client')).to.equal(await licence('.'));
    const installed = await readdir(join(project.folder, 'node_modules'));
    expect(installed).to.include.members(['tidings-client', 'socket.io-client']);
    for (const name of ['react', 'vue', 'svelte']) expect(installed).not.to.include(name);
  });

  it('is what publint and "are the types wrong" want of a package', async () => {
    const data = new Uint8Array(await readFile(tarball));
    const { messages, pkg } = await publint({ pack: { tarball: data.buffer }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).to.deep.equal([]);
    const analysis = await checkPackage(createPackageFromTarballData(data));
    expect(analysis.types && analysis.problems).to.deep.equal([]);
  });

  it('is imported and required, and needs a framework for its own entry alone', async () => {
    const imported = (entry: string) =>
      project.node([
        '--input-type=module',
        '-e',
        `console.log(Object.keys(await import('${entry}')).sort().join())`,
      ]);
    const required = (entry: string) =>
      project.node([
        '--input-type=commonjs',
        '-e',
        `console.log(Object.keys(require('${entry}')).sort().join())`,
      ]);
    expect(await imported('tidings-client')).to.contain('createClient,createFeedStore');
    expect(await project.node(['-p', `require('tidings-client/package.json').name`])).to.equal(
      'tidings-client\n',
    );
    await project.link(
      'react',
      'react-dom',
      'vue',
      'svelte',
      '@types/react',
      '@types/react-dom',
      '@types/node',
    );
    for (const entry of ENTRIES) expect(await required(entry), entry).to.equal(await imported(entry));
  });

  it('leaves out of a bundle what is not used', async () => {
    await project.write(
      'small.js',
      `import { textParts } from 'tidings-client';\nconsole.log(textParts('a', {}));\n`,
    );
    const built = (await build({
      configFile: false,
      root: project.folder,
      logLevel: 'silent',
      build: { write: false, rolldownOptions: { input: join(project.folder, 'small.js') } },
    })) as Rolldown.RolldownOutput;
    const code = built.output.map((file) => (file.type === 'chunk' ? file.code : '')).join('');
    expect(code).to.contain('console.log');
    expect(code).not.to.match(/socket\.io|createRequire|X-Feed-Seq/i);
    expect(code.length).to.be.below(10_000);
  });

  describe('its types', () => {
    const uses = `
      import { createClient, createFeedStore, memoryStorage, TidingsError } from 'tidings-client';
      import type { Client, Feed, FeedState, Post, Session, User } from 'tidings-client';
      import { readableFeed } from 'tidings-client/svelte';
      export async function use(): Promise<FeedState> {
        const client: Client = createClient({ url: 'http://localhost:3000', storage: memoryStorage(), withCredentials: true });
        const { session }: { session: Session } = client;
        const feed: Feed = client.feed({ topics: ['home'] });
        feed.on('post:created', (post, { seq }) => console.log(post.title, seq));
        const post: Post = await client.posts.get(1);
        const user: User = await client.user(post.owner_id);
        for await (const event of feed) if (event.name === 'reset') break;
        const { unread } = await client.notifications.list();
        console.log(user.username, session.getSnapshot().loggedIn, unread, new TidingsError('network', '').code);
        readableFeed(client).subscribe(({ posts }) => console.log(posts.length));
        return createFeedStore(client).getSnapshot();
      }`;
    const frameworks = `
      import { createClient, createThreadStore, type Client } from 'tidings-client';
      import { useFeed, useNotifications, useSession, useStore } from 'tidings-client/react';
      import * as vue from 'tidings-client/vue';
      export { App } from './posts.js';
      const client: Client = createClient();
      export function Component(): string {
        const { state, store } = useFeed(client, { tag: 'a' });
        const { state: thread } = useStore(() => createThreadStore(client, { postId: 1 }), []);
        const title: string | null | undefined = thread.post?.title ?? state.posts[0]?.title;
        return [title, useNotifications(client).state.unread, useSession(client).loggedIn, store.loadMore()].join();
      }
      export const ofVue = () => vue.useFeed(client, () => ({ tag: 'a' })).state.value.posts[0]?.title;`;
    /** Faults of files in the project. */
    const faultsOf = (files: string[], options: ts.CompilerOptions) => {
      const paths = files.map((file) => join(project.folder, file));
      const program = ts.createProgram(paths, {
        strict: true,
        noEmit: true,
        target: ts.ScriptTarget.ES2022,
        types: [],
        ...options,
      });
      // Those of the libraries are not looked through for faults of their own.
      const own = program.getSourceFiles().filter((one) => one.fileName.startsWith(`${project.folder}/`));
      return [
        ...program.getOptionsDiagnostics(),
        ...own.flatMap((one) => ts.getPreEmitDiagnostics(program, one)),
      ].map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    };
    const NODE16 = { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 };
    const NEXT = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
    const BUNDLER = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
    const DOM = { lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'] };

    for (const [title, file, options] of [
      ['node16, an ES module', 'uses.mts', { ...NODE16, ...DOM }],
      ['node16, CommonJS', 'uses.cts', { ...NODE16, ...DOM }],
      [
        'nodenext, with the types of Node alone',
        'uses.mts',
        { ...NEXT, lib: ['lib.es2022.d.ts'], types: ['node'] },
      ],
      ['bundler', 'uses.ts', { ...BUNDLER, ...DOM }],
    ] as const)
      it(`are whole: ${title}`, async () => {
        await project.write(file, uses);
        expect(faultsOf([file], options as unknown as ts.CompilerOptions)).to.deep.equal([]);
      });

    it('are whole with those of React and Vue, in the component of the README and the example', async () => {
      const snippets = await snippetsOf('client/README.md');
      for (const [name, from] of [
        ['posts.tsx', 'posts.jsx'],
        ['client.ts', 'client.js'],
      ] as const)
        await project.write(name, snippets.find((one) => one.name === from)?.code ?? '');
      await project.write('frameworks.ts', frameworks);
      await project.copy(join(packageRoot, 'examples/react-feed'), 'react-feed');
      const settings = {
        ...BUNDLER,
        ...DOM,
        jsx: ts.JsxEmit.ReactJSX,
        allowImportingTsExtensions: true,
        types: ['vite/client'],
      };
      expect(faultsOf(['frameworks.ts', 'react-feed/src/main.tsx'], settings)).to.deep.equal([]);
    });

    it('promise no value that is not there at run time', async () => {
      await project.write('wrong.ts', `import { Feed } from 'tidings-client';\nconsole.log(Feed);\n`);
      const [fault] = faultsOf(['wrong.ts'], { ...BUNDLER, ...DOM });
      expect(fault).to.contain(
        "'Feed' cannot be used as a value because it was exported using 'export type'",
      );
    });
  });

  describe('its README', () => {
    let world: World;
    let snippets: Snippet[];
    let pages: PageServer;
    const env = () => ({ TIDINGS_URL: world.url });

    before(async () => {
      snippets = await snippetsOf('client/README.md');
      pages = await PageServer.start();
      world = await createWorld({ CORS_ORIGINS: pages.origin });
      await prepare(world, project);
    });
    after(async () => {
      await world.close();
      await pages.close();
    });

    const snippet = (name: string) => {
      const found = snippets.find((one) => one.name === name);
      if (!found) throw new Error(`the README has no ${name}`);
      return found.code.replace('http://127.0.0.1:3000', world.url);
    };

    it('names each of its programs, and says to install what was installed here', () => {
      const [install, ...others] = snippets.filter(({ name }) => name === undefined);
      expect(others).to.deep.equal([]);
      const { version } = JSON.parse(ts.sys.readFile(join(packageRoot, 'client/package.json')) ?? '') as {
        version: string;
      };
      expect(install?.code)
        .to.contain('npm pack -w tidings-client')
        .and.contain(`tidings-client-${version}.tgz`);
    });

    it('greets with a program that does what it says', async () => {
      await project.write('hello.mjs', snippet('hello.mjs'));
      const said = await project.node(['hello.mjs'], env());
      expect(said).to.contain('feed: live').and.contain(' Hello\n').and.contain('has 1 votes');
      const promised = /console\.log\(error\.code, error\.fields\); \/\/ (.*)/.exec(
        snippet('hello.mjs'),
      )?.[1];
      expect(said).to.contain(promised);
    });

    it('shows programs that all run', async () => {
      const programs = snippets.filter(({ name }) => name?.endsWith('.mjs') && name !== 'hello.mjs');
      expect(programs).to.have.lengthOf.above(8);
      for (const { name = '' } of programs) {
        await project.write(name, withPrelude(snippet(name)));
        let ended = false;
        const run = project.node(['--import', './browser.mjs', name], env()).finally(() => (ended = true));
        run.catch(() => undefined);
        // The one that waits for an event ends with it.
        const writer = await world.user();
        await until(
          `${name} to end`,
          async () => {
            await writer.post('/posts', { title: 'An event', content: '' });
            return ended;
          },
          120_000,
        );
        await run;
      }
    });

    it('shows components of React, Vue and Svelte that render', async () => {
      await project.write('client.js', snippet('client.js'));
      await project.write('posts.js', `${fromJsx(snippet('posts.jsx'))}\nexport { Posts };\n`);
      await project.write('vue-posts.js', fromVue(snippet('Posts.vue')));
      await project.write('svelte-posts.js', fromSvelte(snippet('Posts.svelte')));
      await project.write(
        'render.mjs',
        `import { createElement } from 'react';
        import { renderToString } from 'react-dom/server';
        import { render } from 'svelte/server';
        import { createSSRApp } from 'vue';
        import { renderToString as renderVue } from 'vue/server-renderer';
        import { App, Posts } from './posts.js';
        import SveltePosts from './svelte-posts.js';
        import { createFeedStore } from 'tidings-client';
        import { client } from './client.js';
        import VuePosts from './vue-posts.js';
        const post = { id: 1, title: 'A post to render', votes: 3, voted: false };
        const state = { posts: [post], waiting: [], pending: 2, hasMore: true, status: { state: 'live' } };
        Object.defineProperty(createFeedStore(client).constructor.prototype, 'state', { get: () => state });
        console.log(renderToString(createElement(App)));
        console.log(renderToString(createElement(Posts)));
        console.log(await renderVue(createSSRApp(VuePosts, { tag: 'a' })));
        console.log((await render(SveltePosts)).body);
        process.exit(0);`,
      );
      const said = await project.node(['--import', './browser.mjs', 'render.mjs'], env());
      expect(said).to.contain('<form').and.contain(' unread').and.contain('<!--[-->');
      for (const part of ['A post to render', '2', 'More'])
        expect(said.split(part), part).to.have.length.of.at.least(4);
    });

    it('promises `withCredentials`, which a proxy with a cookie of its own needs', async () => {
      await project.write(
        'cookies.js',
        `import { createClient } from 'tidings-client';
        /** All that is done over one transport. @returns what came of it */
        globalThis.use = async ({ url, withCredentials, transport }) => {
          const client = createClient({ url, withCredentials });
          await client.signUp({ email: crypto.randomUUID() + '@example.org', password: '${PASSWORD}' });
          const feed = client.feed({ transports: [transport] });
          const heard = new Promise((resolve) => feed.on('post:created', ({ title }) => resolve(title)));
          await feed.ready();
          await client.posts.create({ title: transport, content: '' });
          const title = await heard;
          await client.logOut();
          return title;
        };`,
      );
      await build({
        configFile: false,
        root: project.folder,
        logLevel: 'silent',
        build: {
          lib: { entry: join(project.folder, 'cookies.js'), formats: ['es'], fileName: () => 'cookies.js' },
          outDir: 'page',
        },
      });
      await project.write('page/index.html', '<script type="module" src="/cookies.js"></script>');
      pages.folder = join(project.folder, 'page');
      const front = await CookieFront.start(world.url);
      const browser = await launchBrowser();
      try {
        const page = await browser.newPage();
        await page.goto(pages.origin);
        const use = (how: { withCredentials: boolean; transport: string }) =>
          page.evaluate(
            ({ url, ...rest }) =>
              (globalThis as unknown as { use: (of: object) => Promise<string> })
                .use({ url, ...rest })
                .catch((error: unknown) => (error as { code: string }).code),
            { url: front.url, ...how },
          );
        await page.context().request.get(`${front.url}/enter`);
        expect(await use({ withCredentials: false, transport: 'polling' })).to.equal('network');
        expect(front.refused.splice(0)).to.deep.equal(['POST /users']);
        for (const transport of ['polling', 'websocket'])
          expect(await use({ withCredentials: true, transport })).to.equal(transport);
        expect(front.refused).to.deep.equal([]);
      } finally {
        await browser.close();
        await front.close();
      }
    });
  });
});

/** What the programs of the README name and do not make: a client, a browser, and functions of the app. */
const PRELUDE = ['apply', 'client', 'feed', 'reload', 'render'];

async function prepare(world: World, project: ClientProject): Promise<void> {
  const reader = await world.user('reader');
  await execute(world, `update users set role = 'moderator' where id = $1`, [reader.id]);
  const ada = await world.user('ada');
  for (let at = 3; at <= 7; at += 1) await world.user();
  for (let at = 1; at <= 7; at += 1) await ada.post('/posts', { title: `Post ${at}`, content: '' });
  await ada.post('/posts/7/replies', { content: '@reader' });
  await (await world.user()).put(`/users/${ada.id}/report`, { reason: 'spam' });
  await project.write(
    'prelude.mjs',
    `import { createClient } from 'tidings-client';
    export const client = createClient({ url: process.env.TIDINGS_URL });
    await client.logIn(${JSON.stringify({ email: reader.email, password: PASSWORD })});
    export const feed = client.feed({ topics: [] });
    export const render = () => undefined;
    export const reload = () => undefined;
    export const apply = () => process.exit(0);`,
  );
  await project.write(
    'browser.mjs',
    `const kept = new Map();
    globalThis.localStorage = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
    globalThis.location = { origin: process.env.TIDINGS_URL };`,
  );
}

/** A program of the README with imports of what it uses without making it, and an end. */
function withPrelude(code: string): string {
  const uses = (name: string) =>
    new RegExp(`\\b${name}\\b`).test(code) &&
    !new RegExp(`const (?:\\{[^}]*)?\\b${name}\\b|import \\{[^}]*\\b${name}\\b`).test(code);
  const made = [...new Set(code.match(/\bcreate\w+Store\b/g))];
  return [
    `import { ${PRELUDE.filter(uses).join(', ')} } from './prelude.mjs';`,
    made.length > 0 ? `import { ${made.join(', ')} } from 'tidings-client';` : '',
    code,
    'process.exit(0);',
  ].join('\n');
}

function fromJsx(code: string): string {
  const compilerOptions = {
    jsx: ts.JsxEmit.ReactJSX,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
  };
  return ts.transpileModule(code, { fileName: 'posts.jsx', compilerOptions }).outputText;
}

function fromVue(code: string): string {
  const { descriptor, errors } = parseVue(code);
  expect(errors).to.deep.equal([]);
  return compileScript(descriptor, { id: 'posts', inlineTemplate: true }).content;
}

function fromSvelte(code: string): string {
  const { js, warnings } = compileSvelte(code, { generate: 'server' });
  expect(warnings).to.deep.equal([]);
  return js.code;
}
