/**
 * Compiles folders of the service: removes the types and does not look at them, which `npm run lint` does.
 *
 *     node scripts/compile.js TARGET server models
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { transformWithOxc } from 'vite';

const root = dirname(import.meta.dirname);

/**
 * Files of TypeScript as JavaScript with a source map beside it, all others as they are.
 *
 * @param {string} target the folder to write to
 * @param {string[]} sources folders and files, by their paths in the checkout
 * @returns the paths of what was written
 */
export async function compile(target, sources) {
  const names = await Promise.all(
    sources.map(async (source) => {
      if (source.endsWith('.ts')) return [source];
      const entries = await readdir(join(root, source), { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)));
    }),
  );
  return (await Promise.all(names.flat().map((name) => compileFile(target, name)))).flat();
}

/**
 * @param {string} target
 * @param {string} name
 */
async function compileFile(target, name) {
  const source = join(root, name);
  const compiled = join(target, name.replace(/\.ts$/, '.js'));
  await mkdir(dirname(compiled), { recursive: true });
  if (!name.endsWith('.ts')) {
    await copyFile(source, compiled);
    return [compiled];
  }
  const { code, map } = await transformWithOxc(await readFile(source, 'utf8'), source, {
    typescript: { rewriteImportExtensions: 'rewrite' },
  });
  const { mappings, names } = map;
  const sources = [relative(dirname(compiled), source)];
  await writeFile(`${compiled}.map`, JSON.stringify({ version: 3, sources, names, mappings }));
  await writeFile(compiled, `${code}//# sourceMappingURL=${basename(compiled)}.map\n`);
  return [compiled, `${compiled}.map`];
}

if (argv[1] === fileURLToPath(import.meta.url)) await compile(argv[2], argv.slice(3));
