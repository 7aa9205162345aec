#!/usr/bin/env bash
# joi 18.3.2: its own JSON Schema of some rules says the opposite of what Joi does.
#
# Guessed: what JSON Schema cannot say, or the converter does not know, is left out, so the JSON Schema is at most more
# lenient than Joi: whatever Joi accepts passes.
# Seen: of `pattern(…, { invert: true })` the pattern is kept and the "invert" lost, so each text passes in exactly one of
# the two. An item that is `forbidden()` in an array stands among the allowed alternatives, and is accepted by the JSON Schema.
# `date().timestamp()` accepts a number, and its JSON Schema a text alone; so does `valid(…).insensitive()` with other
# letters and `max(…).truncate()` with longer text. A document made from it tells clients to send what is refused, and a
# generated client refuses what the server takes.
# Also `forbidden()` as a member is `{}`: anything may be sent.
#
# Output seen:
#   text that must not begin with "admin": "admin1" joi refuses, schema accepts
#   text that must not begin with "admin": "alice" joi accepts, schema refuses
#   list without "none": ["none"] joi refuses, schema accepts
#   seconds since 1970: 1700000000 joi accepts, schema refuses
#   "asc" in any letter case: "ASC" joi accepts, schema refuses
#   text cut at three: "abcd" joi accepts, schema refuses
#   object without "id": {"id":1} joi refuses, schema accepts
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent joi@18.3.2 ajv@8.17.1 ajv-formats@3.0.1
cat >run.mjs <<'JS'
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import Joi from 'joi';

const ajv = new Ajv2020({ strict: false });
formats.default(ajv);
const cases = [
  ['text that must not begin with "admin"', Joi.string().pattern(/^admin/, { invert: true }), 'admin1'],
  ['text that must not begin with "admin"', Joi.string().pattern(/^admin/, { invert: true }), 'alice'],
  ['list without "none"', Joi.array().items(Joi.string().valid('none').forbidden(), Joi.string()), ['none']],
  ['seconds since 1970', Joi.date().timestamp('unix'), 1700000000],
  ['"asc" in any letter case', Joi.string().valid('asc').insensitive(), 'ASC'],
  ['text cut at three', Joi.string().max(3).truncate(), 'abcd'],
  ['object without "id"', Joi.object({ id: Joi.forbidden(), name: Joi.string() }), { id: 1 }],
];
const word = (accepted) => (accepted ? 'accepts' : 'refuses');
const lines = cases.map(([name, schema, value]) => {
  const byJoi = schema.validate(value).error === undefined;
  const bySchema = ajv.validate(schema['~standard'].jsonSchema.input({ target: 'draft-2020-12' }), value);
  return `${name}: ${JSON.stringify(value)} joi ${word(byJoi)}, schema ${word(bySchema)}`;
});
console.log(lines.join('\n'));
const expected = [
  'text that must not begin with "admin": "admin1" joi refuses, schema accepts',
  'text that must not begin with "admin": "alice" joi accepts, schema refuses',
  'list without "none": ["none"] joi refuses, schema accepts',
  'seconds since 1970: 1700000000 joi accepts, schema refuses',
  '"asc" in any letter case: "ASC" joi accepts, schema refuses',
  'text cut at three: "abcd" joi accepts, schema refuses',
  'object without "id": {"id":1} joi refuses, schema accepts',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
