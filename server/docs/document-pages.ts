import type { AsyncApiDocument } from './asyncapi.ts';
import { socketPage } from './socket-page.ts';

/** A page that shows a document of the API. Everything that it loads is served from here. */
export interface DocumentPage {
  path: string;
  title: string;
  /** Assets by name. */
  styles: readonly string[];
  /** Absent where the page is all there without one. */
  script?: {
    asset: string;
    /** The page's own script, run when the asset's has been loaded. A file, since the content security policy has no inline scripts. */
    start: string;
  };
  /** What is in the page already. */
  content?: (documents: { asyncapi: () => AsyncApiDocument }) => string;
  /** What this page needs beyond the policy that all answers have: directive → sources. */
  policy: Readonly<Record<string, readonly string[]>>;
}

const element = "document.getElementById('document')";

/** What /docs is told. It tries out the node that it comes from: the policy lets it ask no other, whatever address the document gives. */
const swagger = `
const dark = matchMedia('(prefers-color-scheme: dark)');
const colour = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
colour();
dark.addEventListener('change', colour);
const here = (update) => (document) => update({ ...document, servers: [{ url: location.origin }] });
SwaggerUIBundle({
  url: '/openapi.json',
  deepLinking: true,
  displayRequestDuration: true,
  // It would ask a validator elsewhere.
  validatorUrl: null,
  domNode: ${element},
  plugins: [{ statePlugins: { spec: { wrapActions: { updateJsonSpec: here } } } }],
});
`;

/** The colours of /redoc where the system is dark. */
const darkRedoc = {
  colors: {
    primary: { main: '#74d3c9' },
    text: { primary: '#e7e4dc', secondary: '#9aa7ad' },
    border: { dark: '#36444b', light: '#273238' },
    gray: { 50: '#182127', 100: '#273238' },
    error: { main: '#ff9d87' },
    success: { main: '#74d3c9' },
    responses: {
      success: { color: '#74d3c9', backgroundColor: '#15302f', tabTextColor: '#74d3c9' },
      error: { color: '#ff9d87', backgroundColor: '#33201c', tabTextColor: '#ff9d87' },
    },
  },
  schema: {
    nestedBackground: '#182127',
    typeNameColor: '#9aa7ad',
    requireLabelColor: '#ff9d87',
    linesColor: '#36444b',
  },
  sidebar: { backgroundColor: '#182127', textColor: '#e7e4dc' },
  rightPanel: { backgroundColor: '#0b1114', textColor: '#e7e4dc' },
  codeBlock: { backgroundColor: '#182127' },
  typography: { code: { color: '#e6b566', backgroundColor: '#182127' }, links: { color: '#74d3c9' } },
};

const redoc = `
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
Redoc.init('/openapi.json', { nativeScrollbars: true, ...(dark && { theme: ${JSON.stringify(darkRedoc)} }) }, ${element});
`;

export const documentPages: readonly DocumentPage[] = [
  {
    path: '/docs',
    title: 'Tidings: the REST API, to try out',
    styles: ['swagger-ui.css'],
    script: { asset: 'swagger-ui.js', start: swagger },
    policy: {},
  },
  {
    path: '/redoc',
    title: 'Tidings: the REST API, to read',
    styles: [],
    script: { asset: 'redoc.js', start: redoc },
    policy: {
      // styled-components fills empty style elements by script, which is allowed; the hash is that of the empty text. The
      // other is of the one style element that has a text.
      'style-src': [
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
      ],
      // The search index is built by a worker that is part of the script.
      'worker-src': ['blob:'],
    },
  },
  {
    path: '/asyncapi',
    title: 'Tidings: the Socket.IO interface',
    styles: [],
    content: ({ asyncapi }) => socketPage(asyncapi()),
    policy: {},
  },
];

/** What the pages are called in each other's head. */
const links = { '/': 'Tidings', '/docs': 'Try the API', '/redoc': 'Read the API', '/asyncapi': 'Socket.IO' };

/** The page, with addresses that change with what they lead to. */
export function renderPage(page: DocumentPage, content: string, address: (name: string) => string): string {
  const [start, ...assets] = loadedBy(page);
  const styles = ['page.css', ...page.styles].map(
    (name) => `<link rel="stylesheet" href="${address(name)}">`,
  );
  const scripts = [...assets, start].flatMap((name) =>
    name === undefined ? [] : [`<script defer src="${address(name)}"></script>`],
  );
  const heads = Object.entries(links).map(
    ([path, name]) => `<a href="${path}"${path === page.path ? ' aria-current="page"' : ''}>${name}</a>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title}</title>
<link rel="icon" href="data:,">
${[...styles, ...scripts].join('\n')}
</head>
<body>
<nav class="documents" aria-label="Documents">${heads.join('')}</nav>
<main id="document">${content}</main>
${scripts.length > 0 ? '<noscript>This page needs JavaScript.</noscript>' : ''}
</body>
</html>
`;
}

/** The scripts of a page: its own, and what that needs. */
export function loadedBy(page: DocumentPage): string[] {
  return page.script ? [startName(page), page.script.asset] : [];
}

/** How a page's own script is called in the address. */
export function startName({ path }: DocumentPage): string {
  return `start${path.replace('/', '-')}.js`;
}

/** What all of the pages have in common, and what is drawn here alone. */
export const pageStyle = `:root {
  color-scheme: light dark;
  --paper: light-dark(#fff, #10171b);
  --sunk: light-dark(#f4f1eb, #182127);
  --ink: light-dark(#1c2428, #e7e4dc);
  --muted: light-dark(#5c676d, #9aa7ad);
  --line: light-dark(#e5dfd4, #273238);
  --accent: light-dark(#0a6a6e, #74d3c9);
}
body { margin: 0; background: var(--paper); color: var(--ink); font-family: system-ui, sans-serif; }
.documents { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0.75rem 1.25rem; border-bottom: 1px solid var(--line); }
.documents a { color: var(--accent); }
.documents a:first-child { font-weight: 600; }
.documents a[aria-current] { color: var(--ink); text-decoration: none; }
.interface { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; line-height: 1.55; overflow-wrap: anywhere; }
.interface a { color: var(--accent); }
.interface h1 small, .interface dt small, .type { color: var(--muted); font-size: 0.875rem; font-weight: 400; }
.interface pre { overflow-x: auto; padding: 0.75rem 1rem; border-radius: 0.5rem; background: var(--sunk); font-size: 0.875rem; }
.interface code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
.interface :is(p, ul, ol, dl) { margin: 0.4rem 0; }
.interface nav { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)); gap: 0 2rem; }
.interface nav ul { padding: 0; list-style: none; }
.interface h2 { margin: 2rem 0 0.5rem; }
.message, .shape { padding: 0.5rem 0 1rem; border-top: 1px solid var(--line); }
.payload { padding-inline-start: 1rem; border-inline-start: 3px solid var(--line); }
.interface dl { display: grid; gap: 0.35rem; }
.interface dd { margin: 0 0 0 1.25rem; }
.interface dd > .type { margin: 0; }
`;
