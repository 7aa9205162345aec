import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * The scripts and styles of the document pages: other people's work, installed for development alone. From source they
 * are read out of node_modules; the build copies them beside the compiled server, where nothing else is installed.
 */
export interface DocumentAsset {
  /** How it is called in the address and in the build. */
  name: string;
  /** Where it comes from, as an import would say it. */
  from: string;
  /** Its licence, which has to go wherever it goes. */
  licence: string;
  /** Text in it that is replaced. */
  replace?: { text: string; by: string };
}

export const documentAssets: readonly DocumentAsset[] = [
  {
    name: 'swagger-ui.css',
    from: 'swagger-ui-dist/swagger-ui.css',
    licence: 'swagger-ui-dist/LICENSE',
  },
  {
    name: 'swagger-ui.js',
    from: 'swagger-ui-dist/swagger-ui-bundle.js',
    licence: 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt',
  },
  {
    name: 'redoc.js',
    from: 'redoc/bundles/redoc.standalone.js',
    licence: 'redoc/bundles/redoc.standalone.js.LICENSE.txt',
    // Its badge loads an image from elsewhere; an image that cannot be loaded it leaves out.
    replace: { text: 'https://cdn.redoc.ly/redoc/logo-mini.svg', by: 'data:,' },
  },
];

/** Where the build puts them. */
const built = join(import.meta.dirname, 'document-assets');
const { resolve } = createRequire(import.meta.url);

/** The content of an asset, wherever this runs. */
export function readAsset(asset: DocumentAsset): Promise<Buffer> {
  const copy = join(built, asset.name);
  return existsSync(copy) ? readFile(copy) : readOriginal(asset);
}

/** The content of an asset out of its package, with what has to be replaced in it. */
export async function readOriginal({ from, replace }: DocumentAsset): Promise<Buffer> {
  const content = await readFile(resolve(from));
  if (!replace) return content;
  const text = content.toString();
  if (!text.includes(replace.text)) throw new Error(`${from} no longer contains ${replace.text}`);
  return Buffer.from(text.replaceAll(replace.text, replace.by));
}

/** The licence of an asset, out of its package. */
export function readLicence({ licence }: DocumentAsset): Promise<Buffer> {
  return readFile(resolve(licence));
}
