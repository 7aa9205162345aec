#!/usr/bin/env bash
# tsx 4.23.15: `require('tsx/esm/api')`, which its `exports` offer to CommonJS, gives a `tsImport` that cannot load anything.
#
# Guessed: the CommonJS build of the API does what the ES module does, since `exports` has a `require` condition for it.
# Seen: its `tsImport` looks for the loader in a folder that the package does not have and rejects with
# ERR_MODULE_NOT_FOUND, naming a file of tsx itself, as if the caller's module were missing. `import('tsx/esm/api')` in the
# same CommonJS file works. A `.cjs` configuration that loads TypeScript (sequelize-cli's, for one) must use `import()`.
#
# Output seen:
#   require: ERR_MODULE_NOT_FOUND, of a file of tsx
#   import: 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent tsx@4.23.15
echo 'export const answer: number = 1;' >module.ts
cat >run.cjs <<'JS'
const { pathToFileURL } = require('node:url');
const from = pathToFileURL(__filename).href;

async function outcome(load) {
  try {
    const { tsImport } = await load();
    return String((await tsImport('./module.ts', from)).answer);
  } catch (error) {
    const ofTsx = /node_modules\/tsx\/dist\//.test(error.message);
    return `${error.code}, ${ofTsx ? 'of a file of tsx' : error.message}`;
  }
}

(async () => {
  const lines = [
    `require: ${await outcome(async () => require('tsx/esm/api'))}`,
    `import: ${await outcome(() => import('tsx/esm/api'))}`,
  ];
  console.log(lines.join('\n'));
  const expected = ['require: ERR_MODULE_NOT_FOUND, of a file of tsx', 'import: 1'];
  process.exit(lines.join() === expected.join() ? 0 : 1);
})();
JS
node run.cjs
