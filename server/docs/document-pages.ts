/** A page that shows a document of the API. Everything that it loads is served from here. */
export interface DocumentPage {
  path: string;
  title: string;
  /** Assets by name. */
  styles: readonly string[];
  script: string;
  /**
   * The page's own script, run when the asset's has been loaded. A file, since the content security policy has no inline
   * scripts.
   */
  start: (documents: { asyncapi: () => object }) => string;
  /** What this page needs beyond the policy that all answers have: directive → sources. */
  policy: Readonly<Record<string, readonly string[]>>;
}

const element = "document.getElementById('document')";

export const documentPages: readonly DocumentPage[] = [
  {
    path: '/docs',
    title: 'Tidings: the REST API, to try out',
    styles: ['swagger-ui.css'],
    script: 'swagger-ui.js',
    start: () => {
      const options = {
        url: '/openapi.json',
        deepLinking: true,
        displayRequestDuration: true,
        // It would ask a validator elsewhere.
        validatorUrl: null,
      };
      // It tries out the node that it comes from: the policy lets it ask no other, whatever address the document gives.
      const here = '(update) => (document) => update({ ...document, servers: [{ url: location.origin }] })';
      const plugin = `{ statePlugins: { spec: { wrapActions: { updateJsonSpec: ${here} } } } }`;
      return `SwaggerUIBundle({ ...${JSON.stringify(options)}, domNode: ${element}, plugins: [${plugin}] });`;
    },
    policy: {},
  },
  {
    path: '/redoc',
    title: 'Tidings: the REST API, to read',
    styles: [],
    script: 'redoc.js',
    start: () => `Redoc.init('/openapi.json', ${JSON.stringify({ nativeScrollbars: true })}, ${element});`,
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
    styles: ['asyncapi.css'],
    script: 'asyncapi.js',
    start: ({ asyncapi }) => {
      const parsed = {
        ...(dereferenced(asyncapi()) as object),
        'x-parser-spec-parsed': true,
        'x-parser-spec-stringified': true,
        'x-parser-api-version': 3,
      };
      const config = { show: { sidebar: true, errors: false }, expand: { messageExamples: true } };
      return `AsyncApiStandalone.render({ schema: ${JSON.stringify(parsed)}, config: ${JSON.stringify(config)} }, ${element});`;
    },
    policy: {
      // ajv in it compiles a schema when it is loaded.
      'script-src': ["'unsafe-eval'"],
    },
  },
];

/** The page, with addresses that change with what they lead to. */
export function renderPage(page: DocumentPage, address: (name: string) => string): string {
  const styles = ['page.css', ...page.styles].map(
    (name) => `<link rel="stylesheet" href="${address(name)}">`,
  );
  const scripts = [page.script, startName(page)].map(
    (name) => `<script defer src="${address(name)}"></script>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${page.title}</title>
<link rel="icon" href="data:,">
${styles.join('\n')}
${scripts.join('\n')}
</head>
<body>
<main id="document"></main>
<noscript>This page needs JavaScript.</noscript>
</body>
</html>
`;
}

/** How a page's own script is called in the address. */
export function startName({ path }: DocumentPage): string {
  return `start${path.replace('/', '-')}.js`;
}

/** What all of the pages have in common, and what one of them lacks: a typeface, and code without its backticks. */
export const pageStyle = `body { margin: 0; background: #fff; font-family: system-ui, sans-serif; }
.aui-root .prose code::before, .aui-root .prose code::after { content: none; }
`;

/** A document with a copy in place of each reference. It has no cycles. */
function dereferenced(document: object): unknown {
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    if ('$ref' in value && typeof value.$ref === 'string') return resolve(lookUp(value.$ref));
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner)]));
  };
  const lookUp = (reference: string): unknown =>
    reference
      .split('/')
      .slice(1)
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], document);
  return resolve(document);
}
