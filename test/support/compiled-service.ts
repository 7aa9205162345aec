import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type typescript from 'typescript';
import { packageRoot } from '../../server/paths.ts';

/**
 * The service compiled once for all test processes, with the settings of `npm run build` but without looking at types:
 * a process that loads TypeScript takes twice the CPU time until it is ready. It is kept by the content of its sources
 * under `node_modules`, so that packages, migrations and the page are found as by `npm start`.
 */
const CACHE = join(packageRoot, 'node_modules/.cache/tidings-tests');
const COMPILED = ['server', 'models'];

let compiled: string | undefined;

/** The path of a program of the service, such as `server/main.ts`, in compiled form. */
export function compiledProgram(source: string): string {
  compiled ??= compileService();
  return join(compiled, source.replace(/\.ts$/, '.js'));
}

/** @returns the folder of the compiled sources */
function compileService(): string {
  const sources = COMPILED.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:ts|js|sql)$/.test(name))
      .map((name) => join(folder, name)),
  )
    .sort()
    .map((name) => ({ name, text: readFileSync(join(packageRoot, name), 'utf8') }));
  const hash = createHash('sha256').update(readFileSync(import.meta.filename));
  for (const { name, text } of sources) hash.update(`${name}\0${text}\0`);
  const folder = join(CACHE, hash.digest('hex').slice(0, 16));
  if (existsSync(folder)) return folder;
  // Several test processes may come at once: each compiles by itself, and anyone who is first is taken.
  const own = `${folder}-${randomUUID()}`;
  for (const { name, text } of sources) {
    const target = join(own, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, name.endsWith('.ts') ? transpile(text, name, { sourceMaps: true }) : text);
  }
  try {
    renameSync(own, folder);
  } catch {
    rmSync(own, { recursive: true });
  }
  return folder;
}

/**
 * One file of TypeScript as JavaScript.
 * @param fileName its path in the checkout
 */
export function transpile(source: string, fileName: string, { sourceMaps = false } = {}): string {
  // Loaded only when something is to be compiled.
  const ts = createRequire(import.meta.url)('typescript') as typeof typescript;
  return ts.transpileModule(source, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
      inlineSourceMap: sourceMaps,
      ...(sourceMaps ? { sourceRoot: pathToFileURL(join(packageRoot, dirname(fileName), '/')).href } : {}),
    },
  }).outputText;
}
