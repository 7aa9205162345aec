import type Joi from 'joi';

/** Unknown fields, each of which is reported as an error. */
const MAX_UNKNOWN = 1000;

/** A list directly in an object, of which a schema says nothing but what its items are and how many at most. */
interface List {
  key: string;
  max: number;
  /** How its items are described, as JSON. */
  items: string;
}

/** What is known of a schema beforehand. */
interface Shape {
  known: number;
  lists: readonly List[];
}

/** A fault of the whole input (an empty path) or of one of its fields, as Joi would tell it. */
export interface SizeFault {
  path: string[];
  message: string;
  type: string;
}

/**
 * An input as it is given to Joi, which takes some ten microseconds for each field and for each item, and a small body has
 * tens of thousands of those: without the lists that are too long, which is their fault, and without those whose items are
 * all good at a glance.
 */
export interface Sized {
  /** What is left to look at; undefined if there is too much of it. */
  rest: unknown;
  faults: SizeFault[];
  /** The lists that are good. */
  good: [key: string, list: unknown[]][];
}

/** @param glances by description as JSON, how to tell good items without Joi; they must say good only of what Joi leaves as it is */
export function sizeUp(
  schema: Joi.AnySchema,
  value: unknown,
  glances: ReadonlyMap<string, (item: unknown) => boolean>,
): Sized {
  const sized: Sized = { rest: value, faults: [], good: [] };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return sized;
  const { known, lists } = shapeOf(schema);
  const most = known + MAX_UNKNOWN;
  if (Object.keys(value).length > most) {
    const message = `"value" must have at most ${most} fields`;
    return { rest: undefined, faults: [{ path: [], message, type: 'object.max' }], good: [] };
  }
  for (const { key, max, items } of lists) {
    const list: unknown = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    if (!Array.isArray(list)) continue;
    const glance = glances.get(items);
    if (list.length > max) {
      const message = `"${key}" must have at most ${max} items`;
      sized.faults.push({ path: [key], message, type: 'array.max' });
    } else if (glance && all(list, glance)) sized.good.push([key, list]);
    else continue;
    sized.rest = { ...(sized.rest as object), [key]: [] };
  }
  return sized;
}

/** Also of the holes of a sparse list, which `every` passes over. */
function all(list: unknown[], glance: (item: unknown) => boolean): boolean {
  for (const item of list) if (!glance(item)) return false;
  return true;
}

const shapes = new WeakMap<Joi.AnySchema, Shape>();

/** Read off the schema's description once: making that takes longer than an input. */
function shapeOf(schema: Joi.AnySchema): Shape {
  const known = shapes.get(schema);
  if (known) return known;
  const keys = Object.entries((schema.describe() as { keys?: Record<string, Description> }).keys ?? {});
  const shape = { known: keys.length, lists: keys.flatMap(([key, description]) => listOf(key, description)) };
  shapes.set(schema, shape);
  return shape;
}

interface Description {
  type?: string;
  rules?: { name: string; args?: { limit?: unknown } }[];
  items?: object[];
}

function listOf(key: string, { type, rules = [], items = [] }: Description): List[] {
  const [rule, ...others] = rules;
  const max = rule?.name === 'max' && others.length === 0 ? rule.args?.limit : undefined;
  if (type !== 'array' || typeof max !== 'number' || items.length !== 1) return [];
  return [{ key, max, items: JSON.stringify(items[0]) }];
}
