import Joi from 'joi';
import { encodeCursor, MOST_OF_PAGE } from '../keyset-cursor.ts';
import type { FieldError } from '../protocol.ts';
import { countedString } from './characters.ts';
import { isVisible } from '../text/visible.ts';
import { sizeUp } from './input-size.ts';

/**
 * One Joi schema gives the validation, the JSON Schema and the TypeScript type of a shape. Joi provides the first two
 * (`schema['~standard'].jsonSchema`, Standard JSON Schema); the few builders here carry the third.
 */

declare const mayBeAbsent: unique symbol;
// The marker of a key that may be absent; it exists in types alone.
type MayBeAbsent = { readonly [mayBeAbsent]: true };

type Shape = Record<string, Joi.AnySchema>;
type AbsentKeys<S extends Shape> = { [K in keyof S]: S[K] extends MayBeAbsent ? K : never }[keyof S];
type Flat<T> = { [K in keyof T]: T[K] };
type InferShape<S extends Shape> = Flat<
  { [K in Exclude<keyof S, AbsentKeys<S>>]: Infer<S[K]> } & { [K in AbsentKeys<S>]?: Infer<S[K]> }
>;

/** The type of what a schema lets through. */
export type Infer<S> = S extends Joi.AnySchema<infer T> ? T : never;

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

/**
 * Ties a schema to a type that is written elsewhere: a key that one of them has and the other has not, or another type of
 * one, does not compile. `exactly<Tally>()(object({ … }))`
 */
export function exactly<T>() {
  return <S extends Joi.AnySchema>(schema: Same<Infer<S>, T> extends true ? S : never): Joi.AnySchema<T> =>
    schema;
}

/** An object of exactly these keys. Each is required unless wrapped in `optional` or `withDefault`. */
export function object<S extends Shape>(shape: S): Joi.ObjectSchema<InferShape<S>> {
  const keys = Object.entries(shape).map(([key, schema]) => [
    key,
    isUndecided(schema) ? schema.required() : schema,
  ]);
  // oxlint-disable-next-line typescript/no-generated-empty-object-type -- Joi's own schema for an object of no keys
  return Joi.object(Object.fromEntries(keys) as Joi.PartialSchemaMap<InferShape<S>>);
}

/** Whether it was not said if the key may be absent. */
function isUndecided(schema: Joi.AnySchema): boolean {
  return schema.$_getFlag('presence') === undefined && schema.$_getFlag('default') === undefined;
}

/** A key that may be absent. */
export function optional<S extends Joi.AnySchema>(schema: S): S & MayBeAbsent {
  return schema.optional() as S & MayBeAbsent;
}

/** A key that may be absent from the input, and is then this value. */
export function withDefault<S extends Joi.AnySchema>(schema: S, value: Infer<S>): S {
  return schema.default(value);
}

/** One of these values. */
export function oneOf<const V extends (string | number | boolean)[]>(...values: V): Joi.AnySchema<V[number]> {
  return Joi.valid(...values) as Joi.AnySchema<V[number]>;
}

/** A list of what one schema describes. */
export function listOf<S extends Joi.AnySchema>(schema: S): Joi.ArraySchema<Infer<S>[]> {
  return Joi.array().items(schema) as Joi.ArraySchema<Infer<S>[]>;
}

/**
 * Text that PostgreSQL, JSON and every client can hold unchanged. U+0000 has no place in a PostgreSQL text (Sequelize
 * would store two other characters), and a lone surrogate none in UTF-8 (it would come back as U+FFFD).
 */
export function text(): Joi.StringSchema {
  return countedString().custom((value: string, helpers) => {
    if (value.includes('\0')) return helpers.error('string.nul');
    if (!value.isWellFormed()) return helpers.error('string.surrogate');
    return value;
  }, 'well-formed text');
}

/** Well-formed text with at least one visible character. It is stored unchanged: nothing is trimmed. */
export function visibleText(): Joi.StringSchema {
  return text().custom(
    (value: string, helpers) =>
      // Of U+0000 is told by itself.
      isVisible(value) || value.includes('\0') ? value : helpers.error('string.invisible'),
    'visible text',
  );
}

/**
 * A whole number. In a path or a query it is written in one way, its digits: `1e0`, ` 1` and `1.0` would be other addresses
 * of the same thing.
 */
export function wholeNumber(): Joi.NumberSchema {
  return Joi.number()
    .integer()
    .custom((value: number, helpers) => {
      const given: unknown = helpers.original;
      return typeof given === 'string' && given !== String(value) ? helpers.error('number.digits') : value;
    }, 'plain digits');
}

/** The id of a row. Beyond 2^53 a JSON number is no longer exact. */
export function id(): Joi.NumberSchema {
  return wholeNumber().min(1).max(Number.MAX_SAFE_INTEGER);
}

/** A number of things. */
export function count(): Joi.NumberSchema {
  return wholeNumber().min(0).max(Number.MAX_SAFE_INTEGER);
}

/** How many entries of a list are asked for. @param fallback if it is not said */ export function pageSize(
  fallback: number,
) {
  return withDefault(
    wholeNumber().min(1).max(MOST_OF_PAGE).description('How many at most').example(fallback),
    fallback,
  );
}

/** Where a page of a list begins. @param last of an example: the list, and the key and the id of the last row before it */
export function pageCursor(...last: Parameters<typeof encodeCursor>) {
  return optional(
    Joi.string()
      .max(200)
      .description('From the `Link` header of the previous page')
      .example(encodeCursor(...last)),
  );
}

/** A timestamp: RFC 3339 in UTC. */
export function timestamp(): Joi.StringSchema {
  return Joi.string().isoDate();
}

/**
 * A UUID as the documents mean it, in whichever case it is written (RFC 9562). Joi by itself would take one in braces or
 * without hyphens as well.
 */
export function uuid(): Joi.StringSchema {
  return Joi.string()
    .guid({ separator: '-', wrapper: false })
    .custom((value: string) => value.toLowerCase(), 'lower case');
}

// Compiled once: Joi would compile a text again for each input. Its typings know texts alone.
const compiled = (text: string): object => Joi.x(text) as object;
/** What is said of faults where Joi's own words are not plain. */
export const messages = {
  'string.nul': compiled('{{#label}} must not contain the character U+0000'),
  'string.surrogate': compiled('{{#label}} must not contain a lone surrogate'),
  'string.reserved': compiled('{{#label}} is reserved'),
  'string.tag': compiled(
    '{{#label}} must be a tag: letters, digits, underscores and emoji of any script, at most 100, and not digits alone',
  ),
  'string.invisible': compiled('{{#label}} must contain a visible character'),
  'string.pattern.name': compiled('{{#label}} must be {{#name}}'),
  'string.min': compiled('{{#label}} must have at least {{#limit}} characters'),
  'string.max': compiled('{{#label}} must have at most {{#limit}} characters'),
  'number.min': compiled('{{#label}} must be at least {{#limit}}'),
  'number.max': compiled('{{#label}} must be at most {{#limit}}'),
  'number.digits': compiled('{{#label}} must be a whole number in plain digits'),
  'number.unsafe': compiled(
    `{{#label}} must be between -${Number.MAX_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}`,
  ),
  'boolean.base': compiled('{{#label}} must be true or false'),
  'array.min': compiled('{{#label}} must not be empty'),
  'array.max': compiled('{{#label}} must have at most {{#limit}} items'),
  'array.unique': compiled('{{#label}} is listed twice'),
  'object.base': compiled('{{#label}} must be an object'),
  'object.unknown': compiled('{{#label}} is not a known field'),
  'object.min': compiled('{{#label}} must have at least one field'),
  'string.guid': compiled('{{#label}} must be a UUID'),
  'object.missing': compiled('{{#label}} must have one of the fields {{#peersWithLabels}}'),
  'object.xor': compiled('{{#label}} must have only one of the fields {{#peersWithLabels}}'),
} as unknown as Joi.LanguageMessages;

export type InputPlace = 'body' | 'query' | 'path' | 'header' | 'payload' | 'auth';

/**
 * One input against its schema: the clean value, or every fault at once.
 * @param name what the input is called as a whole
 */
export function check<S extends Joi.AnySchema>(
  schema: S,
  place: InputPlace,
  value: unknown,
  name: string = place,
): { value: Infer<S>; errors?: never } | { value?: never; errors: FieldError[] } {
  const shadow = ownProto(value);
  if (shadow)
    return {
      errors: [
        {
          loc: [place, '__proto__'],
          msg: '"__proto__" is not a known field',
          type: 'object.unknown',
        },
      ],
    };
  const { rest, faults, good } = sizeUp(schema, value, glances);
  const tell = ({ path, message, type }: Pick<Joi.ValidationErrorItem, 'path' | 'message' | 'type'>) => ({
    loc: [place, ...path],
    // Joi's own name for what has none.
    msg: path.length === 0 ? message.replace('"value"', () => `"${name}"`) : message,
    type,
  });
  const errors = faults.map(tell);
  if (rest === undefined && errors.length > 0) return { errors };
  // A body has types of its own; a query and a path are text and must be read as what they mean.
  const isText = place === 'query' || place === 'path' || place === 'header';
  const result = prepared(schema, isText).validate(rest);
  if (result.error) errors.push(...result.error.details.map(tell));
  if (errors.length > 0) return { errors };
  if (good.length > 0) Object.assign(result.value as object, Object.fromEntries(good));
  return { value: result.value as Infer<S> };
}

const ofTexts = new WeakMap<Joi.AnySchema, Joi.AnySchema>();
const ofValues = new WeakMap<Joi.AnySchema, Joi.AnySchema>();

/**
 * A schema with all that is to be known of how it is checked: Joi would put that together again for each input.
 * @param convert whether texts are read as what they mean
 */
function prepared(schema: Joi.AnySchema, convert: boolean): Joi.AnySchema {
  const known = convert ? ofTexts : ofValues;
  let ready = known.get(schema);
  if (!ready) {
    ready = schema.prefs({ abortEarly: false, convert, messages, errors: { wrap: { label: '"' } } });
    known.set(schema, ready);
  }
  return ready;
}

/**
 * Removes empty optional fields, which count as absent: a client without a position sends `after: null`, and a form
 * sends an empty field as `after=`. An empty required field stays an error.
 */
export function withoutEmpty(schema: Joi.AnySchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const fields = fieldsOf(schema);
  const empty = (name: string, given: unknown) =>
    (given === null || given === '') && fields.get(name)?.presence === 'optional';
  if (!Object.entries(value).some(([name, given]) => empty(name, given))) return value;
  return Object.fromEntries(Object.entries(value).filter(([name, given]) => !empty(name, given)));
}

/**
 * A query or a form in which each field but a list has one value, the first, and the faults of those that were given more
 * than once: which of the values is meant nobody can tell.
 */
export function givenOnce(
  schema: Joi.AnySchema,
  place: InputPlace,
  given: Record<string, unknown>,
): { once: Record<string, unknown>; faults: FieldError[] } {
  const fields = fieldsOf(schema);
  const several = Object.entries(given).filter(
    ([name, value]) => Array.isArray(value) && (fields.get(name)?.type ?? 'array') !== 'array',
  );
  if (several.length === 0) return { once: given, faults: [] };
  return {
    once: {
      ...given,
      ...Object.fromEntries(several.map(([name, value]) => [name, (value as unknown[])[0]])),
    },
    faults: several.map(([name]) => givenTwice(place, name)),
  };
}

/** The fault of what was given more than once. */
export function givenTwice(place: InputPlace, name: string): FieldError {
  return { loc: [place, name], msg: `"${name}" was given more than once`, type: 'any.repeated' };
}

/** A form without the fields that a schema does not know: RFC 6749, 3.2 has them ignored. */
export function knownFields(schema: Joi.AnySchema, form: Record<string, unknown>): Record<string, unknown> {
  const fields = fieldsOf(schema);
  return Object.fromEntries(Object.entries(form).filter(([name]) => fields.has(name)));
}

interface Field {
  presence: 'optional' | 'required';
  type: string | undefined;
}

const fieldsOfSchemas = new WeakMap<Joi.AnySchema, Map<string, Field>>();

function fieldsOf(schema: Joi.AnySchema): Map<string, Field> {
  const known = fieldsOfSchemas.get(schema);
  if (known) return known;
  const { keys = {} } = schema.describe() as {
    keys?: Record<string, { type?: string; flags?: { presence?: string } }>;
  };
  const fields = new Map<string, Field>(
    Object.entries(keys).map(([name, { type, flags }]) => [
      name,
      { presence: flags?.presence === 'required' ? 'required' : 'optional', type },
    ]),
  );
  fieldsOfSchemas.set(schema, fields);
  return fields;
}

/** Numbers of posts, five hundred at once: what `id().strict()` says of each, in a thousandth of the time. */
const glances = new Map([
  [
    JSON.stringify(id().strict().describe()),
    (item: unknown) => Number.isSafeInteger(item) && (item as number) >= 1,
  ],
]);

/** `JSON.parse` makes `__proto__` an own key, which Joi's copy of the object would lose: it has to be seen before. */
function ownProto(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__');
}
