import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateDtsBundle } from 'dts-bundle-generator';
import ts from 'typescript';

/**
 * Makes `client/dist`, what `npm pack` takes: of each source file an ES module and, in `dist/cjs`, a CommonJS module, so
 * that a bundler drops what is not used. The types of the index are one file, into which the few shapes of the server are
 * copied, so that nothing of the server is needed. Inside this repository the sources are used as they stand.
 */
const here = import.meta.dirname;
const src = join(here, 'src');
const dist = join(here, 'dist');
/** Files of the server that take the place of those that pass them on, or that these import: nothing but each other. */
const copied: Record<string, string[]> = {
  'mentions.ts': ['text/mentions.ts'],
  'tags.ts': ['text/tags.ts'],
  'url.ts': ['text/url.ts'],
  'fold.ts': ['text/fold.ts'],
  'visible.ts': ['text/visible.ts'],
  'tag-form.ts': ['text/tag-form.ts'],
  'event-names.ts': [
    'moderation/event-names.ts',
    'notifications/event-names.ts',
    'posts/event-names.ts',
    'relations/event-names.ts',
  ],
};
/** What is for one framework. Its types are those of the index, imported, or there would be two `Client`. */
const adapters = ['react.ts', 'vue.ts', 'svelte.ts'];
const formats = [
  { folder: dist, module: ts.ModuleKind.ESNext },
  { folder: join(dist, 'cjs'), module: ts.ModuleKind.CommonJS },
];

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** The index types, in which what is exported as a type alone is no value: it does not exist at run time. */
async function indexTypes(): Promise<string> {
  const [bundle = ''] = generateDtsBundle(
    [{ filePath: join(src, 'index.ts'), output: { noBanner: true, exportReferencedTypes: false } }],
    { preferredConfigPath: join(here, 'tsconfig.json') },
  );
  const index = (await import(pathToFileURL(join(dist, 'index.js')).href)) as object;
  const values = new Set(Object.keys(index));
  const types: string[] = [];
  const text = bundle.replace(
    /^export (declare class (\w+))/gm,
    (whole, declaration: string, name: string) => {
      if (values.has(name)) return whole;
      types.push(name);
      return declaration;
    },
  );
  const declared = new Set(
    [...text.matchAll(/^export declare (?:class|function|const|let) (\w+)/gm)].map(([, name = '']) => name),
  );
  const wrong = [...values, ...declared].filter((name) => values.has(name) !== declared.has(name));
  if (wrong.length > 0) throw new Error(`types and exports differ in ${wrong.join(', ')}`);
  return `${text.trimEnd()}\nexport type { ${types.join(', ')} };\n`;
}

async function adapterTypes(name: string): Promise<string> {
  const { outputText, diagnostics = [] } = ts.transpileDeclaration(await readFile(join(src, name), 'utf8'), {
    fileName: name,
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2022, isolatedDeclarations: true },
  });
  const [fault] = diagnostics;
  if (fault) throw new Error(`${name}: ${ts.flattenDiagnosticMessageText(fault.messageText, '\n')}`);
  return outputText.replaceAll("'./index.ts'", "'./index.js'");
}

await rm(dist, { recursive: true, force: true });
for (const name of new Set([...Object.keys(copied), ...(await readdir(src, { recursive: true }))])) {
  if (!name.endsWith('.ts')) continue;
  const files = copied[name]?.map((file) => join(here, '../server', file)) ?? [join(src, name)];
  const source = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
  for (const { folder, module } of formats) {
    const { outputText } = ts.transpileModule(source, {
      fileName: name,
      compilerOptions: { target: ts.ScriptTarget.ES2022, module, rewriteRelativeImportExtensions: true },
    });
    await write(join(folder, name.replace(/\.ts$/, '.js')), outputText);
  }
}
await write(join(dist, 'cjs/package.json'), '{ "type": "commonjs" }\n');

const types = { index: await indexTypes() } as Record<string, string>;
for (const name of adapters) types[name.replace(/\.ts$/, '')] = await adapterTypes(name);
for (const [name, text] of Object.entries(types))
  for (const { folder } of formats) await write(join(folder, `${name}.d.ts`), text);
