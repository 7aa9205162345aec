/**
 * Compiles folders of the service: removes the types and does not look at them, which `npm run lint` does.
 *
 *     node scripts/compile.js TARGET server models
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { build, transformWithOxc } from 'vite';

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

/**
 * Puts the modules of the service into a few files beside what was compiled: Node takes half a millisecond for each file
 * that a start loads. Packages stay where they are.
 *
 * @param {string} target where the service was compiled to
 * @param {string} entry its first module, as TypeScript or compiled
 * @returns the paths of what was written
 */
export async function bundle(target, entry = join(root, 'server/main.ts')) {
  const folder = join(target, 'server');
  const { output } = await build({
    configFile: false,
    root,
    logLevel: 'warn',
    plugins: [stayInPlace(dirname(entry))],
    ssr: { external: true },
    build: {
      ssr: entry,
      outDir: folder,
      emptyOutDir: false,
      copyPublicDir: false,
      target: 'node20',
      minify: false,
      sourcemap: true,
      reportCompressedSize: false,
      rolldownOptions: {
        external: (id) => !/^[.\0]/.test(id) && !isAbsolute(id),
        treeshake: false,
        output: {
          entryFileNames: 'main.js',
          chunkFileNames: 'main-[name]-[hash].js',
          sourcemapExcludeSources: true,
        },
      },
    },
  });
  return output.map(({ fileName }) => join(folder, fileName));
}

/**
 * Lets each module find the files beside it, as if it were where it was compiled to.
 *
 * @param {string} server where the modules are
 */
const stayInPlace = (server) => ({
  name: 'stay-in-place',
  transform(code, id) {
    if (!/import\.meta\.(?:dirname|filename|url)/.test(code)) return undefined;
    const path = relative(server, id).replace(/\.ts$/, '.js');
    const placed = code
      .replaceAll('import.meta.url', `new URL(${JSON.stringify(`./${path}`)}, import.meta.url).href`)
      .replaceAll('import.meta.dirname', `(import.meta.dirname + ${JSON.stringify(`/${dirname(path)}`)})`)
      .replaceAll('import.meta.filename', `(import.meta.dirname + ${JSON.stringify(`/${path}`)})`);
    // All on its line: the source map stays right enough.
    return { code: placed, map: null };
  },
});

if (argv[1] === fileURLToPath(import.meta.url)) {
  const target = resolve(argv[2]);
  await compile(target, argv.slice(3));
  await bundle(target);
}
