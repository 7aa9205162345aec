import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

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
  ],
  build: {
    outDir: here('../dist/web'),
    emptyOutDir: true,
    // The content security policy lets no script or style stand in the page, and no picture in a style sheet but as data.
    assetsInlineLimit: 0,
    modulePreload: false,
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    reportCompressedSize: false,
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  server: {
    // `npm run dev:web` beside `npm run dev`: the page from here, all else from the service.
    proxy: {
      '^/(users|login|refresh|logout|sessions|posts|vote|events)': 'http://127.0.0.1:3000',
      '/notifications': {
        target: 'http://127.0.0.1:3000',
        bypass: ({ headers }) => (headers.accept?.includes('text/html') ? '/index.html' : undefined),
      },
      '/socket.io': { target: 'http://127.0.0.1:3000', ws: true },
    },
  },
});
