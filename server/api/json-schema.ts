import { isDeepStrictEqual } from 'node:util';
import type Joi from 'joi';

/** A JSON Schema, draft 2020-12: the dialect of OpenAPI 3.1. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  enum?: unknown[];
  examples?: unknown[];
  format?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  /** A list of them is a tuple, as AsyncAPI's own dialect (draft 07) writes it. */
  items?: JsonSchema | JsonSchema[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  dependentRequired?: Record<string, string[]>;
  [keyword: string]: unknown;
}

const INT32_MAX = 2 ** 31 - 1;

/** `input`: what a client may send. `output`: what it is given, with every default filled in. */
export type Side = 'input' | 'output';

/** What Joi's `describe()` tells of a schema, as far as Joi's own JSON Schema leaves it out. */
interface Description {
  type?: string;
  flags?: { id?: string; label?: string };
  keys?: Record<string, Description>;
  items?: Description[];
  matches?: { schema?: Description }[];
  allow?: unknown[];
  examples?: unknown[];
  rules?: { name: string; args?: { regex?: string } }[];
  dependencies?: { rel: string; key?: string; peers: string[] }[];
}

/**
 * Turns Joi schemas into JSON Schemas that share their named parts. Joi writes the schema; this adds what it leaves out
 * (examples, titles, null in an enum, which keys need or exclude each other) and moves every schema that has an `.id()` to
 * one place, to be referred to.
 */
export class SchemaLibrary {
  /** The named schemas met so far. */
  readonly schemas: Record<string, JsonSchema> = {};
  /** The same as they were met, whatever a document has changed of them. */
  readonly #given: Record<string, JsonSchema> = {};
  readonly #prefix: string;

  /** @param prefix where `schemas` stands in the document: `#/components/schemas/` */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The JSON Schema of a Joi schema: a reference if it has an id. */
  schema(schema: Joi.AnySchema, side: Side): JsonSchema {
    const json: JsonSchema = schema['~standard'].jsonSchema[side]({ target: 'draft-2020-12' });
    return this.#complete(schema.describe(), json, side);
  }

  /** What a reference to one of the named schemas leads to; any other schema is itself. */
  named(schema: JsonSchema): JsonSchema {
    return this.schemas[schema.$ref?.slice(this.#prefix.length) ?? ''] ?? schema;
  }

  /** The properties of an object schema, which is not itself made a part: parameters of a path or a query. */
  properties(schema: Joi.AnySchema, side: Side): { name: string; required: boolean; schema: JsonSchema }[] {
    const { flags: _, ...anonymous } = schema.describe() as Description;
    const json: JsonSchema = schema['~standard'].jsonSchema[side]({ target: 'draft-2020-12' });
    const { properties = {}, required = [] } = this.#complete(anonymous, json, side);
    return Object.entries(properties).map(([name, property]) => ({
      name,
      required: required.includes(name),
      schema: property,
    }));
  }

  #complete(description: Description, json: JsonSchema, side: Side): JsonSchema {
    delete json.$defs; // Joi's copy of some of what is moved to its place here
    for (const [key, property] of Object.entries(description.keys ?? {})) {
      const given = json.properties?.[key];
      if (given && json.properties) json.properties[key] = this.#complete(property, given, side);
    }
    const [item, ...others] = description.items ?? [];
    if (item && others.length === 0 && json.items && !Array.isArray(json.items))
      json.items = this.#complete(item, json.items, side);
    const matches = description.type === 'alternatives' ? (description.matches ?? []) : [];
    if (json.anyOf?.length === matches.length) {
      json.anyOf = json.anyOf.map((match, at) => this.#complete(matches[at]?.schema ?? {}, match, side));
    }
    if (json.enum && description.allow?.includes(null) && !json.enum.includes(null)) json.enum.push(null);
    // Generators of clients would take 32 bits for it.
    if (json.type === 'integer' && !(Number(json.maximum) <= INT32_MAX)) json.format = 'int64';
    // A bound of ours on what comes in; on what goes out it is noise, and what pages take for an example.
    if (side === 'output' && json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum;
    if (description.examples) json.examples = description.examples;
    if (description.flags?.label !== undefined) json.title = description.flags.label;
    refusePatternFlags(description);
    addDependencies(description, json);

    const name = description.flags?.id;
    return name === undefined ? json : this.#share(name, json);
  }

  #share(name: string, json: JsonSchema): JsonSchema {
    const known = (this.#given[name] ??= structuredClone(json));
    this.schemas[name] ??= json;
    if (!isDeepStrictEqual(known, json)) throw new Error(`Two different schemas have the id "${name}"`);
    return { $ref: `${this.#prefix}${name}` };
  }
}

/** JSON Schema's `pattern` has no flags, and Joi leaves them out: the schema would tell something else. */
function refusePatternFlags({ rules = [] }: Description): void {
  for (const { name, args } of rules) {
    if (name === 'pattern' && args?.regex !== undefined && !args.regex.endsWith('/')) {
      throw new Error(`JSON Schema cannot tell the flags of the pattern ${args.regex}`);
    }
  }
}

/** Which keys need or exclude each other, in JSON Schema's words. */
function addDependencies({ dependencies = [] }: Description, json: JsonSchema): void {
  for (const { rel, key, peers } of dependencies) {
    const alternatives = peers.map((peer) => ({ title: `with ${peer}`, required: [peer] }));
    if (rel === 'xor' && !json.oneOf) json.oneOf = alternatives;
    else if (rel === 'or' && !json.anyOf) json.anyOf = alternatives;
    else if (rel === 'with' && key !== undefined) (json.dependentRequired ??= {})[key] = peers;
    else throw new Error(`JSON Schema is not told what "${rel}" of ${peers.join(', ')} means`);
  }
}
