import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { documentAssets, readLicence, readOriginal } from '../server/docs/document-assets.ts';

/** Copies what the document pages load beside the compiled server: in production their packages are not installed. */
const target = join(import.meta.dirname, '../dist/server/docs/document-assets');

await mkdir(target, { recursive: true });
for (const asset of documentAssets) {
  await writeFile(join(target, asset.name), await readOriginal(asset));
  await writeFile(join(target, `${asset.name}.LICENCE.txt`), await readLicence(asset));
}
