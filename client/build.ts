import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateDtsBundle } from 'dts-bundle-generator';
import ts from 'typescript';

/**
 * Makes `client/dist`, the package as it is installed elsewhere: a JavaScript file for each source file, and one file of
 * types into which the few shapes of the server are copied, so that nothing of the server is needed. Inside this
 * repository the sources are used as they stand.
 */
const here = import.meta.dirname;
const dist = join(here, 'dist');
/** Files of the server that take the place of those that pass them on. They import nothing but each other. */
const copied: Record<string, string[]> = {
  'mentions.ts': ['text/mentions.ts'],
  'tags.ts': ['text/tags.ts'],
  'url.ts': ['text/url.ts'],
  'fold.ts': ['text/fold.ts'],
  'tag-form.ts': ['text/tag-form.ts'],
  'event-names.ts': [
    'moderation/event-names.ts',
    'notifications/event-names.ts',
    'posts/event-names.ts',
    'relations/event-names.ts',
  ],
};

await rm(dist, { recursive: true, force: true });
for (const name of await readdir(join(here, 'src'), { recursive: true })) {
  if (!name.endsWith('.ts')) continue;
  const files = copied[name]?.map((file) => join(here, '../server', file)) ?? [join(here, 'src', name)];
  const source = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
  const { outputText } = ts.transpileModule(source, {
    fileName: name,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  const file = join(dist, name.replace(/\.ts$/, '.js'));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, outputText);
}

const [types = ''] = generateDtsBundle(
  [
    {
      filePath: join(here, 'src/index.ts'),
      output: { noBanner: true, exportReferencedTypes: false },
    },
  ],
  { preferredConfigPath: join(here, 'tsconfig.json') },
);
await writeFile(join(dist, 'index.d.ts'), types);

const {
  private: _private,
  scripts: _scripts,
  devDependencies: _dev,
  ...manifest
} = JSON.parse(await readFile(join(here, 'package.json'), 'utf8')) as Record<string, unknown>;
const packed = { ...manifest, exports: { '.': { types: './index.d.ts', default: './index.js' } } };
await writeFile(join(dist, 'package.json'), `${JSON.stringify(packed, null, 2)}\n`);
await writeFile(join(dist, 'README.md'), await readFile(join(here, 'README.md')));
