import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The icons of the installed page: a round one, and one that the system cuts to its own shape. */
const icons = [
  { file: 'icon-192.png', sizes: '192x192', purpose: 'any' },
  { file: 'icon-512.png', sizes: '512x512', purpose: 'any' },
  { file: 'icon-maskable-512.png', sizes: '512x512', purpose: 'maskable' },
];

/** `GET /manifest.webmanifest`: what the page is like once it is installed. */
const manifest: Plugin = {
  name: 'manifest',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler: () => [
      { tag: 'link', attrs: { rel: 'manifest', href: '/manifest.webmanifest' }, injectTo: 'head' },
    ],
  },
  async generateBundle() {
    const images = await Promise.all(
      icons.map(async ({ file, sizes, purpose }) => {
        const source = await readFile(here(`src/images/${file}`));
        const image = this.emitFile({ type: 'asset', name: file, source });
        return { src: `/${this.getFileName(image)}`, sizes, purpose, type: 'image/png' };
      }),
    );
    this.emitFile({
      type: 'asset',
      fileName: 'manifest.webmanifest',
      source: JSON.stringify({
        id: '/',
        name: 'Tidings',
        short_name: 'Tidings',
        description: 'Small news, as it happens.',
        start_url: '/',
        scope: '/',
        display: 'standalone',
        background_color: '#faf8f4',
        theme_color: '#0a6a6e',
        icons: images,
      }),
    });
  },
};

const WORKER = 'service-worker';

/** Tells the service worker which files the page is made of. */
const shell: Plugin = {
  name: 'shell',
  apply: 'build',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      const entry = Object.values(bundle).find(
        (one) => one.type === 'chunk' && one.isEntry && one.name === 'index',
      );
      const worker = bundle[`${WORKER}.js`];
      if (entry === undefined || worker?.type !== 'chunk')
        throw new Error('A part of the page was not built.');
      const page = bundle['index.html'];
      if (page?.type !== 'asset') throw new Error('The page was not built.');
      const files = Object.keys(bundle)
        .filter((name) => /^assets\/.*\.(?:js|css|svg)$/.test(name))
        .map((name) => `/${name}`)
        .sort();
      const name = createHash('sha256')
        .update(files.join())
        .update(page.source)
        .digest('base64url')
        .slice(0, 12);
      worker.code = worker.code.replaceAll(
        /\bSHELL\b/g,
        JSON.stringify({ files, entry: `/${entry.fileName}`, name }),
      );
    },
  },
};

export default defineConfig({
  root: here('.'),
  resolve: { alias: { 'tidings-client': here('../client/src/index.ts') } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [
    {
      name: 'render-blocking-entry',
      // A theme that somebody has chosen is set by the script. Without this the page would first be painted in the other one.
      transformIndexHtml: {
        order: 'post',
        handler: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
      },
    },
    manifest,
    shell,
  ],
  build: {
    outDir: here('../dist/web'),
    emptyOutDir: true,
    // The content security policy lets no script or style stand in the page, and no picture in a style sheet but as data.
    assetsInlineLimit: 0,
    modulePreload: false,
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    reportCompressedSize: false,
    rolldownOptions: {
      checks: { bundlerTimings: false },
      input: { index: here('index.html'), [WORKER]: here('worker/service-worker.ts') },
      output: {
        entryFileNames: ({ name }) => (name === WORKER ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  server: {
    // `npm run dev:web` beside `npm run dev`: the page from here, all else from the service.
    proxy: {
      '^/(users|login|refresh|logout|sessions|posts|vote|events|email|password|moderation/(cases|actions|log))':
        'http://127.0.0.1:3000',
      '^/$': {
        target: 'http://127.0.0.1:3000',
        bypass: ({ headers }) => (headers.accept?.includes('text/html') ? '/index.html' : undefined),
      },
      '/notifications': {
        target: 'http://127.0.0.1:3000',
        bypass: ({ headers }) => (headers.accept?.includes('text/html') ? '/index.html' : undefined),
      },
      '/socket.io': { target: 'http://127.0.0.1:3000', ws: true },
    },
  },
});
