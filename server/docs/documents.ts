import { extname } from 'node:path';
import type { Response, Router } from 'express';
import { documentAssets, readAsset, readCompressedAsset } from './document-assets.ts';
import type { AsyncApiDocument } from './asyncapi.ts';
import {
  type DocumentPage,
  documentPages,
  loadedBy,
  pageStyle,
  renderPage,
  startName,
} from './document-pages.ts';
import { type Content, staticContent, sendContent } from './static-content.ts';

/** What the documents are computed from when somebody first asks: once, and that of a numbering again for another. */
export interface Documents {
  /** For the numbering in force, which it gives as an example. */
  openapi: (epoch: string) => object;
  epoch: () => string;
  asyncapi: () => AsyncApiDocument;
}

const ASSETS = '/documents';

/** The documents of the API, and pages that show them without loading anything from elsewhere. */
export function mountDocuments(router: Router, documents: Documents): void {
  const openapi = keptFor(documents.epoch, (epoch) => JSON.stringify(documents.openapi(epoch)));
  const asyncapi = staticContent(() => JSON.stringify(documents.asyncapi()));
  router.get('/openapi.json', async (req, res) => sendContent(req, res.type('json'), await openapi()));
  router.get('/asyncapi.json', async (req, res) => sendContent(req, res.type('json'), await asyncapi()));

  const assets = new Map<string, () => Promise<Content>>([
    ['page.css', staticContent(() => pageStyle)],
    ...documentAssets.map((name) => {
      const content = staticContent(
        () => readAsset(name),
        () => readCompressedAsset(name),
      );
      return [name, content] as const;
    }),
    ...documentPages.flatMap((page) => {
      const { script } = page;
      return script ? [[startName(page), staticContent(() => script.start)] as const] : [];
    }),
  ]);
  router.use(ASSETS, async (req, res, next) => {
    const asset = await assets.get(req.path.slice(1))?.();
    if (!asset || (req.method !== 'GET' && req.method !== 'HEAD')) next();
    else await sendContent(req, res.type(extname(req.path)), asset);
  });

  for (const page of documentPages) {
    const html = staticContent(async () => {
      const versions = new Map<string, string>();
      for (const name of ['page.css', ...page.styles, ...loadedBy(page)]) {
        versions.set(name, (await assets.get(name)?.())?.version ?? '');
      }
      const content = page.content?.(documents) ?? '';
      return renderPage(page, content, (name) => `${ASSETS}/${name}?v=${versions.get(name) ?? ''}`);
    });
    router.get(page.path, async (req, res) => {
      relax(res, page.policy);
      await sendContent(req, res.type('html'), await html());
    });
  }
}

/** The content that belongs to a name, cached as long as the name stays. */
function keptFor(name: () => string, make: (name: string) => string): () => Promise<Content> {
  let known: { name: string; content: () => Promise<Content> } | undefined;
  return () => {
    const now = name();
    if (known?.name !== now) known = { name: now, content: staticContent(() => make(now)) };
    return known.content();
  };
}

/** Adds to the policy of this one answer what its page needs. */
function relax(res: Response, additions: DocumentPage['policy']): void {
  const given = String(res.getHeader('Content-Security-Policy'));
  const directives = new Map(
    given.split(';').map((directive) => {
      const [name = '', ...sources] = directive.trim().split(' ');
      return [name, sources] as const;
    }),
  );
  for (const [name, sources] of Object.entries(additions)) {
    directives.set(name, [...(directives.get(name) ?? directives.get('default-src') ?? []), ...sources]);
  }
  const policy = [...directives].map(([name, sources]) => [name, ...sources].join(' '));
  res.set('Content-Security-Policy', policy.join(';'));
}
