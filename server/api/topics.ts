import Joi from 'joi';
import { EVERYTHING, MAX_TOPIC_LENGTH, MAX_TOPICS, parseTopic, TOPIC_FORMS } from '../topics/topic.ts';

/** In a query a list is one text with commas, or the same key several times. */
const lists = Joi.extend((joi: Joi.Root) => ({
  type: 'array',
  base: joi.array(),
  coerce: {
    from: ['string', 'object'],
    method: (value: unknown) => ({
      value: [value].flat().flatMap((each: unknown) => (typeof each === 'string' ? each.split(',') : [each])),
    }),
  },
  messages: { 'array.mixed': `{{#label}} must not name "${EVERYTHING}" beside other topics` },
})) as { array(): Joi.ArraySchema<string[]> };

const topic = Joi.string()
  .max(MAX_TOPIC_LENGTH)
  .custom(
    (value: string, helpers) =>
      parseTopic(value) ?? helpers.error('string.pattern.name', { name: TOPIC_FORMS }),
    'topic',
  )
  .description(`A topic: ${TOPIC_FORMS}`)
  .example('thread:7');

/** What one may subscribe to on an open connection. */
export const addedTopics = lists
  .array()
  .items(topic.invalid(EVERYTHING))
  .min(1)
  .max(MAX_TOPICS)
  .description(`Topics: ${TOPIC_FORMS.replace('public, ', '')}; at most ${MAX_TOPICS}`)
  .example(['thread:7', 'tag:coffee']);

/** What one subscribes to when one connects. */
export const topics = lists
  .array()
  .items(topic)
  .max(MAX_TOPICS)
  .custom(
    (value: string[], helpers) =>
      value.length > 1 && value.includes(EVERYTHING) ? helpers.error('array.mixed') : value,
    'not mixed',
  )
  .description(
    `Which events to receive: \`public\` (everything public; the default), or at most ${MAX_TOPICS} of \`feed\` (top-level posts), \`home\` (top-level posts of yourself and those whom you follow), \`author:ID\`, \`thread:ID\` (a post and its replies) and \`tag:NAME\`. What concerns you alone always comes`,
  )
  .example(['home', 'thread:7']);
