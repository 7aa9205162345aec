import { expect } from 'chai';
import Joi from 'joi';
import { track } from '../server/transports/socketio/schemas.ts';
import { check, listOf, messages, object, optional, text, withDefault } from '../server/api/schema.ts';

/** The least time that it takes. Milliseconds. */
function least(work: () => unknown): number {
  let best = Infinity;
  for (let n = 0; n < 20; n += 1) {
    const began = performance.now();
    work();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

const numbers = (many: number) => Array.from({ length: many }, (_, at) => at + 1);
const fields = (many: number) => Object.fromEntries(numbers(many).map((n) => [`field${n}`, n]));

/** What Joi alone finds. */
function byJoi(schema: Joi.AnySchema, value: unknown): unknown {
  const result = schema.validate(value, {
    abortEarly: false,
    convert: false,
    messages,
    errors: { wrap: { label: '"' } },
  });
  const { error } = result;
  if (!error) return { value: result.value as unknown };
  return {
    errors: error.details.map(({ path, message, type }) => ({
      loc: ['payload', ...path],
      msg: message.replace('"value"', '"payload"'),
      type,
    })),
  };
}

describe('an input of a great many things', () => {
  const post = object({ title: text().max(200), draft: withDefault(Joi.boolean(), false) });

  it('is told all of a thousand unknown fields, and of more in one fault, at once', () => {
    expect(check(post, 'body', { title: 'x', ...fields(1000) }).errors).to.have.lengthOf(1000);
    const many = { title: 'x', ...fields(26_000) };
    expect(check(post, 'body', many).errors).to.deep.equal([
      { loc: ['body'], msg: '"body" must have at most 1002 fields', type: 'object.max' },
    ]);
    expect(least(() => check(post, 'body', many))).to.be.below(least(() => structuredClone(many)));
  });

  it('has the faults that Joi finds in a list that is too long, without a look at its items', () => {
    for (const value of [
      { post_ids: numbers(501) },
      { post_ids: numbers(8000) },
      { post_ids: numbers(501), other: 1 },
    ]) {
      const { errors } = check(track, 'payload', value);
      const [first, ...others] = errors ?? [];
      expect(first).to.deep.equal((byJoi(track, value) as { errors: unknown[] }).errors[0]);
      expect(others.map(({ type }) => type)).to.deep.equal('other' in value ? ['object.unknown'] : []);
    }
    const wrong = { post_ids: Array<string>(8000).fill('x') };
    expect(least(() => check(track, 'payload', wrong))).to.be.below(least(() => structuredClone(wrong)));
  });

  it('means what it means to Joi, whether its list is good at a glance or not', () => {
    for (const list of [
      [],
      numbers(500),
      [1, 1, Number.MAX_SAFE_INTEGER],
      [0],
      [-0],
      [-1],
      [1.5],
      [Number.MAX_SAFE_INTEGER + 1],
      [NaN],
      [Infinity],
      ['1'],
      [null],
      [undefined],
      [[1]],
      [{}],
      [1, 2, true, 4],
      [new Date(1)],
      [1n],
      'none',
      { length: 1 },
      null,
      undefined,
    ])
      expect(check(track, 'payload', { post_ids: list })).to.deep.equal(byJoi(track, { post_ids: list }));
    for (const value of [null, undefined, [], numbers(2000), 'text', 1])
      expect(check(track, 'payload', value)).to.deep.equal(byJoi(track, value));
  });

  it('is a fraction of the work where its items are good', () => {
    const value = { post_ids: numbers(500) };
    expect(least(() => check(track, 'payload', value))).to.be.below(least(() => byJoi(track, value)) / 2);
    expect(value.post_ids).to.have.lengthOf(500);
  });

  it('is left to Joi where a list has other rules', () => {
    const few = object({ names: optional(listOf(text()).min(1).max(2).unique()) });
    for (const names of [[], ['a'], ['a', 'a'], ['a', 'b', 'c']])
      expect(check(few, 'payload', { names })).to.deep.equal(byJoi(few, { names }));
  });
});
