import { AppError, type ProblemCode, type ProblemExtras, problems } from '../errors.ts';
import type { JsonSchema } from '../api/json-schema.ts';

/** An answer as OpenAPI tells it. */
export interface Answer {
  description: string;
  headers?: Record<string, { description: string; schema: JsonSchema; required?: boolean }>;
  content?: Record<string, { schema: JsonSchema; examples?: Record<string, { value: unknown }> }>;
}

/** A sentence that each problem may say, for the examples of the documents. */
const sentences: Record<ProblemCode, string> = {
  malformed: 'The body cannot be read.',
  unauthorized: 'The token has expired.',
  invalid_credentials: 'Invalid Credentials',
  forbidden: 'Post 7 is not yours.',
  insufficient_scope: 'This API key does not have the scope write.',
  suspended: 'This account is suspended until 2030-01-01T12:00:00.000Z. The reason: Spam',
  otp_required: 'Send the code of your authenticator app, or a recovery code, as otp.',
  otp_invalid: 'This code is wrong or has been used. Take the next one of your app.',
  sign_up_closed: 'Nobody can sign up here at present. Existing accounts work as before.',
  no_mail: 'This service sends no mail. Ask its operator for a link to a new password.',
  email_unverified:
    'Verify your e-mail address first: open the link in the mail that you were sent, or have it sent again.',
  oidc_refused: 'Example Accounts did not log you in. Begin again, or log in another way.',
  username_required: 'You have no account here yet. Choose a username, and send it as username.',
  link_required:
    'An account has the address that Example Accounts told. Send its password to log in to it with Example Accounts from now on.',
  login_again: 'Your account has no password. Log in again, and do this within ten minutes.',
  invitation_required: 'An invitation is needed to sign up here. Ask the operator for one.',
  not_found: 'There is no post 7.',
  method_not_allowed: 'PUT is not allowed here. Allowed: GET, POST.',
  request_timeout: 'The request did not arrive in time.',
  conflict: 'You have already voted on post 7.',
  gone: 'The log no longer reaches that far back. Read GET /posts again and go on from its X-Feed-Seq.',
  version_mismatch: 'The post has been changed since.',
  too_large: 'The body is larger than allowed.',
  unsupported_media_type: 'The body must be application/json.',
  misdirected: 'This server does not accept requests for the host "example.net".',
  invalid: '"title" is required.',
  idempotency_mismatch: 'This Idempotency-Key was used for another request.',
  too_many_requests: 'Too many requests. Try again in 12 seconds.',
  headers_too_large: 'The URL and headers of a request may have 16 KiB at most.',
  internal: 'Something went wrong here. It has been logged.',
  unavailable: 'The database did not confirm this request. Retry with the same Idempotency-Key.',
};

/** The members that only these problems have. Those of `gone` are told by its route, those of `/readyz` beside it. */
const ownMembers: Partial<Record<ProblemCode, Record<string, JsonSchema>>> = {
  suspended: {
    until: {
      type: ['string', 'null'],
      format: 'date-time',
      description: '`suspended`: the end of the suspension; `null`: none is set',
    },
    reason: { type: ['string', 'null'], description: '`suspended`: what the moderator wrote' },
  },
  username_required: {
    suggestion: {
      type: ['string', 'null'],
      description: '`username_required`: what the provider calls you; `null`: nothing that can be a username',
    },
  },
};

const extras: Partial<Record<ProblemCode, ProblemExtras>> = {
  gone: {
    members: { reason: 'too_old', epoch: '0b8b8f2e-6d0f-4d0e-9c39-2f6a1c1f7a51', head: 4711 },
  },
  username_required: { members: { suggestion: 'ada' } },
  suspended: { members: { until: '2030-01-01T12:00:00.000Z', reason: 'Spam' } },
  too_many_requests: { retryAfter: 12 },
  unavailable: { retryAfter: 2 },
  invalid: { errors: [{ loc: ['body', 'title'], msg: '"title" is required', type: 'any.required' }] },
};

const retryAfter = {
  description: 'Seconds to wait before a retry',
  schema: { type: 'integer', format: 'int64' },
};

const headers: Partial<Record<number, Answer['headers']>> = {
  401: { 'WWW-Authenticate': { description: '`Bearer`', schema: { type: 'string' } } },
  429: {
    'Retry-After': retryAfter,
    RateLimit: {
      description: 'How many requests are left (`r`) and in how many seconds the window resets (`t`)',
      schema: { type: 'string', examples: ['"write";r=0;t=12'] },
    },
    'RateLimit-Policy': {
      description: 'How many requests (`q`) are allowed per window of `w` seconds',
      schema: { type: 'string', examples: ['"write";q=600;w=60'] },
    },
  },
  503: { 'Retry-After': retryAfter },
};

/** The problem object of a code as a client would see it. */
function exampleProblem(code: ProblemCode, members: object): object {
  const error = new AppError(code, sentences[code], {
    ...extras[code],
    retryAfter: extras[code]?.retryAfter,
  });
  return { ...error.toProblem('4f5c1c5e-1d0c-4d5b-8f3e-0d1b0f0a7b6c'), ...members };
}

/** How the answer of a status is called among the document's parts. */
export function problemAnswerName(status: number): string {
  return `Problem${status}`;
}

/** What stands for all statuses that an operation does not list, such as a 500. */
export const otherProblem = 'OtherProblem';

/** These statuses as answers, with an example of each problem that has the status; and what stands for all others. */
export function problemAnswers(statuses: Iterable<number>, problem: JsonSchema): Record<string, Answer> {
  const answers = [...statuses].map(
    (status) => [problemAnswerName(status), problemAnswer(status, withOwnMembers(status, problem))] as const,
  );
  return {
    ...Object.fromEntries(answers),
    [otherProblem]: { description: 'Any other problem', content: contentOf(problem, ['internal']) },
  };
}

function withOwnMembers(status: number, problem: JsonSchema): JsonSchema {
  const properties = Object.assign({}, ...codesOf(status).map((code) => ownMembers[code])) as Record<
    string,
    JsonSchema
  >;
  return Object.keys(properties).length > 0 ? { allOf: [problem, { type: 'object', properties }] } : problem;
}

/** A status as an answer of this schema, whose examples have these members as well. */
export function problemAnswer(status: number, schema: JsonSchema, members: object = {}): Answer {
  const codes = codesOf(status);
  return {
    description: codes.map((code) => problems[code][1]).join(', or: '),
    ...(headers[status] ? { headers: headers[status] } : {}),
    content: contentOf(schema, codes, members),
  };
}

function contentOf(
  schema: JsonSchema,
  codes: readonly ProblemCode[],
  members: object = {},
): NonNullable<Answer['content']> {
  const examples = codes.map((code) => [code, { value: exampleProblem(code, members) }] as const);
  return { 'application/problem+json': { schema, examples: Object.fromEntries(examples) } };
}

function codesOf(status: number): ProblemCode[] {
  return (Object.keys(problems) as ProblemCode[]).filter((code) => problems[code][0] === status);
}
