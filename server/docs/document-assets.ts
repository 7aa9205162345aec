import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';

/**
 * The scripts and styles of the document pages: other people's work, each with its licence. `npm run docs:assets` writes
 * them here, compressed, from packages that are installed for development alone: with what those packages depend on they
 * would be a third of an installation.
 */
export const DOCUMENT_ASSETS = join(import.meta.dirname, 'document-assets');

/** How they are called in the address, and, with `.br`, here. */
export const documentAssets = ['swagger-ui.css', 'swagger-ui.js', 'redoc.js'] as const;
export type DocumentAsset = (typeof documentAssets)[number];

const decompress = promisify(brotliDecompress);

/** The content of an asset. */
export async function readAsset(name: DocumentAsset): Promise<Buffer> {
  return decompress(await readCompressedAsset(name));
}

/** The content of an asset as a client takes it that accepts Brotli. */
export function readCompressedAsset(name: DocumentAsset): Promise<Buffer> {
  return readFile(join(DOCUMENT_ASSETS, `${name}.br`));
}
