#!/usr/bin/env bash
# zod 4.6.7: `z.fromJSONSchema` of "one of these two must be there" refuses whatever the schema accepts, and of an array
# as a constant accepts its item instead.
#
# Guessed: what it cannot translate makes it throw, as `not`, `if` and `dependentRequired` do ("not supported in Zod");
# what it takes means the same. It is called experimental, so some formats may be looser.
# Seen: a keyword without a `type` beside it is dropped. So each branch of `oneOf: [{ required: ['text'] }, { required:
# ['image'] }]` takes any value, both match, and nothing at all is valid; the same with `anyOf` lets everything pass. A
# `required` name counts only if `properties` has it: `{ type: 'object', required: ['id'] }` accepts `{}`, and so does
# one whose required property has a default. `const: [1]` accepts 1 and refuses [1], since the list is taken for a
# choice. `enum` beside `minimum` forgets the minimum. No error anywhere. Ajv 8.20.0 is the judge. Here schemas are
# written in Joi, and JSON Schema is read off them.
#
# Output seen:
#   one of two names: refuses [{"text":"a"},{"image":"b"}]
#   any of two names: accepts [{}]
#   a name without a property: accepts [{}]
#   a constant array: accepts [1], refuses [[1]]
#   a minimum alone: accepts [1]
#   an enum with a minimum: accepts [1]
#   not, if, dependentRequired: refused with an error
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent zod@4.6.7 ajv@8.20.0
cat >run.mjs <<'JS'
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as z from 'zod';

const ajv = new Ajv2020({ strict: false });
const properties = { text: { type: 'string' }, image: { type: 'string' } };
const lines = [];
for (const [name, schema, values] of [
  [
    'one of two names',
    { type: 'object', properties, oneOf: [{ required: ['text'] }, { required: ['image'] }] },
    [{ text: 'a' }, { image: 'b' }, {}, { text: 'a', image: 'b' }],
  ],
  [
    'any of two names',
    { type: 'object', properties, anyOf: [{ required: ['text'] }, { required: ['image'] }] },
    [{ text: 'a' }, {}],
  ],
  ['a name without a property', { type: 'object', required: ['id'] }, [{ id: 1 }, {}]],
  ['a constant array', { const: [1] }, [1, [1]]],
  ['a minimum alone', { minimum: 2 }, [1, 2, 'a']],
  ['an enum with a minimum', { type: 'number', enum: [1, 2], minimum: 2 }, [1, 2]],
]) {
  const valid = ajv.compile(schema);
  const converted = z.fromJSONSchema(structuredClone(schema));
  const wrong = (accepted) =>
    values.filter((value) => converted.safeParse(value).success === accepted && valid(value) !== accepted);
  const told = [
    ['accepts', wrong(true)],
    ['refuses', wrong(false)],
  ].filter(([, list]) => list.length > 0);
  lines.push(`${name}: ${told.map(([verb, list]) => `${verb} ${JSON.stringify(list)}`).join(', ')}`);
}
const refused = (schema) => {
  try {
    z.fromJSONSchema(schema);
    return false;
  } catch {
    return true;
  }
};
const unknown = [
  { not: { type: 'string' } },
  { if: { required: ['a'] }, then: { required: ['b'] } },
  { type: 'object', dependentRequired: { a: ['b'] } },
];
lines.push(`not, if, dependentRequired: ${unknown.every(refused) ? 'refused with an error' : 'taken'}`);
console.log(lines.join('\n'));
const expected = [
  'one of two names: refuses [{"text":"a"},{"image":"b"}]',
  'any of two names: accepts [{}]',
  'a name without a property: accepts [{}]',
  'a constant array: accepts [1], refuses [[1]]',
  'a minimum alone: accepts [1]',
  'an enum with a minimum: accepts [1]',
  'not, if, dependentRequired: refused with an error',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
