import Joi from 'joi';
import { listOf, object, optional } from './schema.ts';

const fieldError = object({
  loc: listOf(Joi.alternatives(Joi.string().allow(''), Joi.number()))
    .description('The location of the invalid value: ["body", "title"]')
    .example(['body', 'title']),
  msg: Joi.string().example('"title" is required'),
  type: Joi.string().description('The rule that was broken').example('any.required'),
}).id('FieldError');

/** The members of every problem, for those with more members. */
export const problemFields = {
  type: Joi.string()
    .description('A URN that identifies the problem type')
    .example('urn:tidings:problem:invalid'),
  title: Joi.string().example('Invalid input'),
  status: Joi.number().integer().example(422),
  detail: Joi.string().description('A sentence for people; it may change').example('"title" is required.'),
  request_id: optional(Joi.string()),
  retry_after: optional(Joi.number().integer().min(0).example(12)).description(
    'On a 429 or 503: seconds to wait before a retry, as in `Retry-After`',
  ),
  errors: optional(listOf(fieldError)).description('On a 422: all faults at once'),
};

/** RFC 9457. */
export const problem = object(problemFields).unknown().id('Problem');

/** The answers of these statuses, each a problem that tells no more than the usual. */
export function problems(...statuses: number[]): Record<number, typeof problem> {
  return Object.fromEntries(statuses.map((status) => [status, problem]));
}
