import { expect } from 'chai';
import fc, { type Arbitrary } from 'fast-check';
import type Joi from 'joi';
import { isDeepStrictEqual } from 'node:util';
import { routes } from '../server/app.ts';
import type { FieldError } from '../server/contract.ts';
import { requests } from '../server/transports/socketio/requests.ts';
import { handshakeAuth } from '../server/transports/socketio/schemas.ts';
import { postActions, userActions } from '../server/moderation/present.ts';
import { openApiDocument } from '../server/docs/openapi.ts';
import { check, type InputPlace } from '../server/api/schema.ts';
import { compileAt, schemaValidator } from './support/documented-answers.ts';
import { payloadFault } from './support/frames.ts';

/** What comes in from outside, and where the documents tell of it. */
interface Input {
  schema: Joi.AnySchema;
  place: InputPlace;
  /** What the document does not let through of a value that the schema has let through. */
  undocumented: (value: unknown) => string | undefined;
}

const document = openApiDocument(routes, { version: '0.0.0', server: 'http://127.0.0.1:3000' });
const ajv = schemaValidator(document);

/** Each parameter of a route has a schema of its own in the document. */
function undocumentedParameters(method: string, path: string, place: string) {
  const template = path.replaceAll(/:(\w+)/g, '{$1}');
  const told = document.paths[template]?.[method]?.parameters ?? [];
  const validators = new Map(
    told.flatMap((parameter, at) =>
      'name' in parameter && parameter.in === place
        ? [
            [
              parameter.name,
              compileAt(ajv, 'paths', template, method, 'parameters', String(at), 'schema'),
            ] as const,
          ]
        : [],
    ),
  );
  return (value: unknown): string | undefined => {
    for (const [name, one] of Object.entries(value as object)) {
      const validate = validators.get(name);
      if (!validate) return `${name} is not in the document`;
      if (!validate(one)) return `${name}: ${ajv.errorsText(validate.errors)}`;
    }
    return undefined;
  };
}

const inputs: Record<string, Input> = {};
for (const { method, path, params, query, headers, body } of routes) {
  const name = `${method} ${path}`;
  if (params)
    inputs[`the path of ${name}`] = {
      schema: params,
      place: 'path',
      undocumented: undocumentedParameters(method, path, 'path'),
    };
  if (query)
    inputs[`the query of ${name}`] = {
      schema: query,
      place: 'query',
      undocumented: undocumentedParameters(method, path, 'query'),
    };
  for (const [header, { schema }] of Object.entries(headers ?? {})) {
    const undocumented = undocumentedParameters(method, path, 'header');
    inputs[`the header ${header} of ${name}`] = {
      schema,
      place: 'header',
      undocumented: (value) => undocumented({ [header]: value }),
    };
  }
  if (body) {
    const template = path.replaceAll(/:(\w+)/g, '{$1}');
    const media = ['requestBody', 'content', 'application/json', 'schema'];
    const validate = compileAt(ajv, 'paths', template, method, ...media);
    inputs[`the body of ${name}`] = {
      schema: body,
      place: 'body',
      undocumented: (value) => (validate(value) ? undefined : ajv.errorsText(validate.errors)),
    };
  }
}
for (const [name, { schema }] of Object.entries(requests))
  inputs[`the message ${name}`] = {
    schema,
    place: 'payload',
    undocumented: (value) =>
      payloadFault(
        name.replace(/:(.)/, (_, letter: string) => letter.toUpperCase()),
        [value],
      ),
  };
inputs['the auth of the handshake'] = {
  schema: handshakeAuth,
  place: 'auth',
  undocumented: (value) => payloadFault('connect', value),
};

/** What each field is meant to hold, or nearly. */
const whole = fc.oneof(fc.nat(600), fc.integer({ min: -2, max: 2 }), fc.maxSafeInteger());
const numberText = fc.oneof(
  whole.map(String),
  fc.constantFrom('1e1', '1.0', ' 1', '+1', '0x1', '01', '1_0', '', 'Infinity', 'NaN', '-0', '30.5', '1e400'),
);
const number = fc.oneof(whole, numberText, fc.double());
/** Mostly what a field takes: of an input with several fields hardly any would be let through otherwise. */
const mostly = (good: Arbitrary<unknown>, other: Arbitrary<unknown>) =>
  fc.oneof({ weight: 2, arbitrary: good }, { weight: 1, arbitrary: other });
const count = mostly(fc.integer({ min: 1, max: 30 }), number);
const uuid = fc
  .uuid()
  .chain((id) => fc.constantFrom(id, id.toUpperCase(), id.replaceAll('-', ''), `{${id}}`, `${id}\n`));
const word = (...words: string[]) => fc.constantFrom(...words, words[0]!.toUpperCase(), '');
const anyText = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.nat(11_000).map((length) => 'é'.repeat(length)),
  fc.constantFrom('\0', '\ud800', '\u202e', ' '),
);
const passwordText = mostly(fc.stringMatching(/^[!-~]{12,40}$/), anyText);
const flag = fc.oneof(fc.boolean(), fc.constantFrom('true', 'false', 'TRUE', '1', 'yes'));
const fields: Record<string, Arbitrary<unknown>> = {
  id: fc.oneof({ weight: 3, arbitrary: number }, { weight: 1, arbitrary: fc.uuid() }),
  owner_id: count,
  limit: count,
  skip: count,
  after: count,
  wait: count,
  post_id: number,
  dir: fc.oneof(fc.constantFrom(0, 1), number),
  post_ids: fc.array(fc.oneof(whole, number), { maxLength: 10 }),
  epoch: uuid,
  search: anyText,
  cursor: anyText,
  sort: word('new', 'top', 'hot'),
  published: flag,
  title: anyText,
  content: anyText,
  mode: word('live', 'count', 'off'),
  feed: word('live', 'count', 'off'),
  tallies: word('all', 'tracked', 'none'),
  token: anyText,
  refresh_token: anyText,
  email: mostly(fc.emailAddress(), anyText),
  username: fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9_.-]{2,31}$/),
    fc.stringMatching(/^[a-z][A-Za-z0-9_-]{4,20}[0-9]$/),
    anyText,
  ),
  password: passwordText,
  current_password: passwordText,
  otp: mostly(fc.stringMatching(/^[0-9]{6}$/), anyText),
  code: mostly(fc.stringMatching(/^[0-9]{6}$/), anyText),
  name: mostly(fc.constant('a bot'), anyText),
  scopes: fc.array(fc.constantFrom('read', 'write', 'moderate', 'all'), { maxLength: 3 }),
  expires_in_days: mostly(fc.integer({ min: 1, max: 366 }), count),
  url: mostly(fc.webUrl(), anyText),
  paused: flag,
  invitation: mostly(fc.stringMatching(/^[a-z0-9-]{1,40}$/), anyText),
  grant_type: mostly(fc.constant('password'), word('password')),
  scope: anyText,
  client_id: anyText,
  client_secret: anyText,
  return_to: mostly(fc.webUrl(), anyText),
  response: mostly(fc.stringMatching(/^code=[a-z]{1,20}&state=[a-z]{1,20}$/), anyText),
  secret: anyText,
  bio: anyText,
  view: word('all', 'home'),
  replies: flag,
  tag: mostly(fc.constantFrom('hello', '#Hello', '＃ｈｅｌｌｏ'), anyText),
  topics: fc.oneof(
    fc.array(fc.constantFrom('feed', 'home', 'author:1', 'thread:2', 'tag:sea', 'public', 'none'), {
      maxLength: 4,
    }),
    fc.constantFrom('feed', 'feed,home', 'public', 'none'),
  ),
  from: count,
  unread: flag,
  up_to: count,
  action: mostly(fc.constantFrom(...postActions, ...userActions, 'dismiss'), anyText),
  user_id: count,
  actor_id: count,
  reason: mostly(fc.constantFrom('spam', ' x'), anyText),
  note: anyText,
  state: word('open', 'resolved'),
  posts: mostly(fc.constant('all'), fc.string()),
  until: mostly(
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    word('2030-02-30T00:00:00Z', '2030-01-01'),
  ),
};
const headerTexts = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.tuple(fc.uuid(), fc.nat()).map(([id, seq]) => `${id}:${seq}`),
  fc.nat().map(String),
  fc.nat().map((version) => `"${version}"`),
  fc.constantFrom('*', 'W/"1"', '"1", "2"', 'x'.repeat(256)),
);

const describedKeys = (schema: Joi.AnySchema) =>
  (schema.describe() as { keys?: Record<string, { flags?: { presence?: string } }> }).keys ?? {};
const keysOf = (schema: Joi.AnySchema) => Object.keys(describedKeys(schema));
const requiredOf = (schema: Joi.AnySchema) =>
  keysOf(schema).filter((key) => describedKeys(schema)[key]?.flags?.presence === 'required');

/** Whatever a parser may make of what is sent, and some of what none would. */
const anything = fc.anything({
  maxDepth: 3,
  withBigInt: true,
  withDate: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  stringUnit: 'binary',
});

/** Some of a schema's own keys with values that they might have, perhaps with one that is odd and one that is unknown. */
function nearly(schema: Joi.AnySchema): Arbitrary<unknown> {
  const keys = keysOf(schema);
  if (keys.length === 0) return headerTexts;
  const shape = Object.fromEntries(keys.map((key) => [key, fields[key]!]));
  const meant = fc.record(shape, { requiredKeys: [] });
  // A key without a value is none to Joi, and no parser makes one.
  const odd = fc.tuple(
    fc.constantFrom(...keys),
    anything.filter((value) => value !== undefined),
  );
  const unknown = fc.tuple(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor')), anything);
  return fc.oneof(
    { weight: 2, arbitrary: meant },
    { weight: 2, arbitrary: fc.record(shape, { requiredKeys: requiredOf(schema) }) },
    { weight: 2, arbitrary: fc.record(shape) },
    {
      weight: 1,
      arbitrary: fc.tuple(meant, odd).map(([input, [key, value]]) => ({ ...input, [key]: value })),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(meant, unknown)
        .map(([input, entry]) => Object.fromEntries([...Object.entries(input), entry])),
    },
  );
}

/** Whether a fault says where it is, what and of which kind, and nothing else, and is the same in JSON. One look: there are many thousands. */
function isWellTold(error: FieldError, place: string): boolean {
  const { loc, msg, type, ...rest } = error;
  return (
    loc[0] === place &&
    loc.every((step) => /string|number/.test(typeof step)) &&
    typeof msg === 'string' &&
    /\S/.test(msg) &&
    /^[a-z]+(\.[a-zA-Z]+)+$/.test(type) &&
    Object.keys(rest).length === 0 &&
    isDeepStrictEqual(JSON.parse(JSON.stringify(error)), error)
  );
}

describe('what comes in from outside', () => {
  it('has a field to try for every key of every schema, and nothing else', () => {
    const keys = Object.values(inputs).flatMap(({ schema }) => keysOf(schema));
    expect([...new Set(keys)]).to.have.members(Object.keys(fields));
    const places = new Set(Object.values(inputs).map(({ place }) => place));
    expect([...places]).to.have.members(['path', 'query', 'header', 'body', 'payload', 'auth']);
  });

  for (const [name, { schema, place, undocumented }] of Object.entries(inputs))
    it(`in ${name} is either clean, and in the documents, or told fault by fault`, () => {
      let clean = 0;
      let faulty = 0;
      // What asks for much is seldom met by chance.
      for (let round = 0; round < 5 && clean === 0; round += 1)
        fc.assert(
          fc.property(
            fc.oneof(
              { weight: 3, arbitrary: nearly(schema) },
              { weight: 1, arbitrary: fc.oneof(anything, fc.jsonValue()) },
            ),
            (input) => {
              const { value, errors } = check(schema, place, input) as {
                value?: unknown;
                errors?: FieldError[];
              };
              if (errors === undefined) {
                // Joi lets what is absent through; anyone who asks for it puts something in its place before.
                if (input === undefined) return;
                clean += 1;
                expect(check(schema, place, value)).to.deep.equal({ value });
                expect(undocumented(value)).to.equal(undefined);
                return;
              }
              faulty += 1;
              expect(value).to.equal(undefined);
              expect(errors).not.to.be.empty;
              expect(errors.filter((error) => !isWellTold(error, place))).to.be.empty;
            },
          ),
          { numRuns: 400 },
        );
      expect(clean, 'inputs that are let through').to.be.above(0);
      expect(faulty, 'inputs that are not').to.be.above(0);
    });
});
