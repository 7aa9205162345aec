import { expect } from 'chai';
import type { Problem } from '../../server/contract.ts';
import type { Answer } from './world.ts';

/**
 * Holds an answer against what the contract says of every refusal: the media type, the members, the same request id in
 * the header and the body, the challenge of a 401, the faults of a 422, and nothing of the inside.
 * @param code the tail of the problem's `type`, where the status alone does not tell it
 */
export function expectProblem(answer: Answer, status: number, code?: string): Problem {
  const problem = answer.body as Problem;
  expect(answer.status, JSON.stringify(problem)).to.equal(status);
  expect(answer.headers.get('content-type')).to.match(/^application\/problem\+json/);
  expect(problem.type).to.match(/^urn:tidings:problem:[a-z_]+$/);
  if (code !== undefined) expect(problem.type).to.equal(`urn:tidings:problem:${code}`);
  expect(problem.status).to.equal(status);
  expect(problem.title).to.be.a('string').and.not.be.empty;
  expect(problem.detail).to.be.a('string').and.match(/\S/);
  expect(problem.request_id).to.equal(answer.headers.get('x-request-id'));
  if (status === 401) expect(answer.headers.get('www-authenticate')).to.match(/^Bearer/);
  if (problem.type === 'urn:tidings:problem:invalid') {
    expect(problem.errors, problem.detail).to.be.an('array').and.not.be.empty;
  }
  expect(JSON.stringify(problem)).not.to.match(/node_modules|\.ts:\d|sequelize|\bselect\b.*\bfrom\b/i);
  return problem;
}

/** The places that a 422 names, as `body.title`, in order and each once. */
export function faultsOf(answer: Answer): string[] {
  const places = (expectProblem(answer, 422).errors ?? []).map((fault) => fault.loc.join('.'));
  return [...new Set(places)].sort();
}

/** A problem without what differs from one answer to the next by design. */
export function withoutRequestId(answer: Answer): Omit<Problem, 'request_id'> {
  const { request_id: _id, ...rest } = answer.body as Problem;
  return rest;
}
