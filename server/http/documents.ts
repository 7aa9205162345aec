import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import type { Request, Response, Router } from 'express';
import { documentAssets, readAsset } from './document-assets.ts';
import { type DocumentPage, documentPages, pageStyle, renderPage, startName } from './document-pages.ts';

/** What the documents are computed from, once each, when somebody first asks. */
export interface Documents {
  openapi: () => object;
  asyncapi: () => object;
}

/** Something that is the same as long as the process runs. */
interface Content {
  body: Buffer;
  /** A hash of the body: its `ETag`, and its version in addresses. */
  version: string;
}

const ASSETS = '/documents';

/** The documents of the API, and pages that show them without loading anything from elsewhere. */
export function mountDocuments(router: Router, documents: Documents): void {
  const openapi = once(() => JSON.stringify(documents.openapi()));
  const asyncapi = once(() => JSON.stringify(documents.asyncapi()));
  router.get('/openapi.json', async (req, res) => send(req, res.type('json'), await openapi()));
  router.get('/asyncapi.json', async (req, res) => send(req, res.type('json'), await asyncapi()));

  const assets = new Map<string, () => Promise<Content>>([
    ['page.css', once(() => pageStyle)],
    ...documentAssets.map((asset) => [asset.name, once(() => readAsset(asset))] as const),
    ...documentPages.map((page) => [startName(page), once(() => page.start(documents))] as const),
  ]);
  router.use(ASSETS, async (req, res, next) => {
    const asset = await assets.get(req.path.slice(1))?.();
    if (!asset || (req.method !== 'GET' && req.method !== 'HEAD')) next();
    else send(req, res.type(extname(req.path)), asset);
  });

  for (const page of documentPages) {
    const html = once(async () => {
      const versions = new Map<string, string>();
      for (const name of ['page.css', ...page.styles, page.script, startName(page)]) {
        versions.set(name, (await assets.get(name)?.())?.version ?? '');
      }
      return renderPage(page, (name) => `${ASSETS}/${name}?v=${versions.get(name) ?? ''}`);
    });
    router.get(page.path, async (req, res) => {
      relax(res, page.policy);
      send(req, res.type('html'), await html());
    });
  }
}

/** Made when it is first wanted, and kept. */
function once(make: () => string | Buffer | Promise<string | Buffer>): () => Promise<Content> {
  let made: Promise<Content> | undefined;
  const content = async (): Promise<Content> => {
    const body = Buffer.from(await make());
    return { body, version: createHash('sha256').update(body).digest('base64url').slice(0, 16) };
  };
  return () =>
    (made ??= content().catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
}

/** An address that names the version may be kept for good; any other is asked again each time, and is mostly a 304. */
function send(req: Request, res: Response, { body, version }: Content): void {
  const forGood = req.query.v === version;
  res.set('ETag', `"${version}"`);
  res.set('Cache-Control', forGood ? 'public, max-age=31536000, immutable' : 'no-cache');
  res.send(body);
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
