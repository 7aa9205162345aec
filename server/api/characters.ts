import Joi from 'joi';

/**
 * Text whose `min` and `max` count characters as Unicode, JSON Schema and PostgreSQL's `char_length` do: code points. Joi
 * counts UTF-16 units, of which an emoji has two, so that the document and the database would tell another length.
 */
const counting = Joi.extend((joi: Joi.Root) => ({
  type: 'string',
  base: joi.string(),
  overrides: {
    min(this: Rules, limit: number) {
      return this.$_addRule({ name: 'fewest', args: { limit } });
    },
    max(this: Rules, limit: number) {
      return this.$_addRule({ name: 'most', args: { limit } });
    },
  },
  rules: {
    fewest: {
      method: false,
      args: ['limit'],
      validate: (value: string, helpers: Joi.CustomHelpers, { limit }: { limit: number }) =>
        charactersOf(value) >= limit ? value : helpers.error('string.min', { limit, value }),
      jsonSchema: (rule: { args: { limit: number } }, json: object) => ({
        ...json,
        minLength: rule.args.limit,
      }),
    },
    most: {
      method: false,
      args: ['limit'],
      validate: (value: string, helpers: Joi.CustomHelpers, { limit }: { limit: number }) =>
        // A character has one unit or two: most texts need no counting.
        value.length <= limit || charactersOf(value) <= limit
          ? value
          : helpers.error('string.max', { limit, value }),
      jsonSchema: (rule: { args: { limit: number } }, json: object) => ({
        ...json,
        maxLength: rule.args.limit,
      }),
    },
  },
})) as { string(): Joi.StringSchema };

interface Rules {
  $_addRule(rule: { name: string; args: object }): Joi.StringSchema;
}

function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** A string whose length is counted in characters. */
export function countedString(): Joi.StringSchema {
  return counting.string();
}
