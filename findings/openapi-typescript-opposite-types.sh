#!/usr/bin/env bash
# openapi-typescript 7.13.0: types of some OpenAPI 3.1 schemas refuse what the schema accepts, one of them everything but
# what the schema refuses.
#
# Guessed: what TypeScript's types cannot say is left out, so a type is at most wider than its schema.
# Seen: an object that must not be empty, `minProperties: 1`, becomes `Record<string, never>`, which only an empty object fits.
# A list with a first item of its own and any number behind it, `prefixItems` and `items`, becomes a tuple of one, and
# `prefixItems` without `minItems` refuses a shorter list. `required` that stands alone beside a `$ref` in an `allOf`
# becomes `& unknown`, so what has to be sent may be left out; so do properties beside a `$ref`, which OpenAPI 3.1 allows
# there. No warning is written.
# A typed client made from a correct document thus cannot send what the server takes. Here each schema with properties
# names them, and lists are of one kind.
#
# Output seen:
#   object of at least one member: {"a":1} schema accepts, type refuses
#   object of at least one member: {} schema refuses, type accepts
#   a name, then numbers: ["a",1,2] schema accepts, type refuses
#   up to two items: ["a"] schema accepts, type refuses
#   allOf that requires more: {"x":"a"} schema refuses, type accepts
#   $ref with a property beside it: {"x":"a"} schema refuses, type accepts
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent openapi-typescript@7.13.0 typescript@5.9.3 ajv@8.17.1
cat >run.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';

const base = { type: 'object', properties: { x: { type: 'string' }, y: { type: 'string' } }, required: ['x'] };
const schemas = {
  Base: base,
  NotEmpty: { type: 'object', minProperties: 1 },
  NameThenNumbers: { type: 'array', prefixItems: [{ type: 'string' }], items: { type: 'number' } },
  Pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'string' }], items: false },
  Strict: { allOf: [{ $ref: '#/components/schemas/Base' }, { required: ['y'] }] },
  More: { $ref: '#/components/schemas/Base', properties: { z: { type: 'string' } }, required: ['z'] },
};
const cases = [
  ['object of at least one member', 'NotEmpty', { a: 1 }],
  ['object of at least one member', 'NotEmpty', {}],
  ['a name, then numbers', 'NameThenNumbers', ['a', 1, 2]],
  ['up to two items', 'Pair', ['a']],
  ['allOf that requires more', 'Strict', { x: 'a' }],
  ['$ref with a property beside it', 'More', { x: 'a' }],
];
const document = { openapi: '3.1.0', info: { title: 'x', version: '1' }, paths: {}, components: { schemas } };
writeFileSync('types.ts', astToString(await openapiTS(document)));
const ajv = new Ajv2020({ strict: false });
ajv.addSchema(document, 'doc');
const word = (accepted) => (accepted ? 'accepts' : 'refuses');
const lines = cases.map(([name, schema, value]) => {
  const json = JSON.stringify(value);
  const bySchema = ajv.validate({ $ref: `doc#/components/schemas/${schema}` }, value);
  const file = 'check.ts';
  writeFileSync(
    file,
    `import type { components } from './types.js';\nexport const v: components['schemas']['${schema}'] = ${json};\n`,
  );
  const options = { strict: true, noEmit: true, module: ts.ModuleKind.NodeNext, types: [] };
  const byType = ts.getPreEmitDiagnostics(ts.createProgram([file], options)).length === 0;
  return `${name}: ${json} schema ${word(bySchema)}, type ${word(byType)}`;
});
console.log(lines.join('\n'));
const expected = [
  'object of at least one member: {"a":1} schema accepts, type refuses',
  'object of at least one member: {} schema refuses, type accepts',
  'a name, then numbers: ["a",1,2] schema accepts, type refuses',
  'up to two items: ["a"] schema accepts, type refuses',
  'allOf that requires more: {"x":"a"} schema refuses, type accepts',
  '$ref with a property beside it: {"x":"a"} schema refuses, type accepts',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
