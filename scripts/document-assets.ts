/** `npm run docs:assets`: the scripts and styles of the document pages. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress } from 'node:zlib';
import { readCommandLine, requireNoArguments } from '../server/command-line.ts';
import { DOCUMENT_ASSETS, type DocumentAsset, documentAssets } from '../server/docs/document-assets.ts';

interface Original {
  /** As an import would say it. */
  from: string;
  /** The licence, which has to go wherever it goes. */
  licence: string;
  /** Text in it that is replaced. */
  replace?: { text: string; by: string };
}

const originals: Record<DocumentAsset, Original> = {
  'swagger-ui.css': { from: 'swagger-ui-dist/swagger-ui.css', licence: 'swagger-ui-dist/LICENSE' },
  'swagger-ui.js': {
    from: 'swagger-ui-dist/swagger-ui-bundle.js',
    licence: 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt',
  },
  'redoc.js': {
    from: 'redoc/bundles/redoc.standalone.js',
    licence: 'redoc/bundles/redoc.standalone.js.LICENSE.txt',
    // Its badge loads an image from elsewhere; an image that cannot be loaded it leaves out.
    replace: { text: 'https://cdn.redoc.ly/redoc/logo-mini.svg', by: 'data:,' },
  },
};

const { resolve } = createRequire(import.meta.url);

/** What an asset has to be: the content of its package, with what has to be replaced in it. */
export async function readOriginal(name: DocumentAsset): Promise<Buffer> {
  const { from, replace } = originals[name];
  const content = await readFile(resolve(from));
  if (!replace) return content;
  const text = content.toString();
  if (!text.includes(replace.text)) throw new Error(`${from} no longer contains ${replace.text}`);
  return Buffer.from(text.replaceAll(replace.text, replace.by));
}

const usage = `Usage: npm run docs:assets

Writes the scripts and styles of the document pages, out of the packages that they come from.
`;

if (process.argv[1] === import.meta.filename) {
  readCommandLine(usage, requireNoArguments);
  await mkdir(DOCUMENT_ASSETS, { recursive: true });
  for (const name of documentAssets) {
    const file = join(DOCUMENT_ASSETS, name);
    await writeFile(`${file}.br`, await promisify(brotliCompress)(await readOriginal(name)));
    await writeFile(`${file}.LICENCE.txt`, await readFile(resolve(originals[name].licence)));
  }
}
