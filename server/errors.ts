import type { FieldError, Problem } from './protocol.ts';

/** Every error that a caller may see: its code, HTTP status and title. The code is the tail of the problem's `type`. */
export const problems = {
  malformed: [400, 'Malformed request'],
  unauthorized: [401, 'Not authenticated'],
  invalid_credentials: [403, 'Invalid Credentials'],
  forbidden: [403, 'Forbidden'],
  insufficient_scope: [403, 'Insufficient scope'],
  suspended: [403, 'Account suspended'],
  otp_required: [403, 'Code required'],
  otp_invalid: [403, 'Invalid code'],
  sign_up_closed: [403, 'Sign-up is closed'],
  no_mail: [403, 'No mail'],
  email_unverified: [403, 'E-mail address not verified'],
  oidc_refused: [403, 'Not logged in by the provider'],
  username_required: [403, 'Username required'],
  link_required: [403, 'Password required'],
  login_again: [403, 'Log in again'],
  invitation_required: [403, 'Invitation required'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  request_timeout: [408, 'Request timeout'],
  conflict: [409, 'Conflict'],
  gone: [410, 'Position no longer kept'],
  version_mismatch: [412, 'Version mismatch'],
  too_large: [413, 'Payload too large'],
  unsupported_media_type: [415, 'Unsupported media type'],
  misdirected: [421, 'Misdirected request'],
  invalid: [422, 'Invalid input'],
  idempotency_mismatch: [422, 'Idempotency key reused'],
  too_many_requests: [429, 'Too many requests'],
  headers_too_large: [431, 'Headers too large'],
  internal: [500, 'Internal error'],
  unavailable: [503, 'Service unavailable'],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof problems;

/** What a problem may carry beside its code and sentence. */
export interface ProblemExtras {
  errors?: FieldError[];
  /** Seconds to wait before a retry: a header in REST, and in the problem too, since a socket has no headers. */
  retryAfter?: number;
  /** Sent as response headers in REST. */
  headers?: Record<string, string>;
  /** Members of the problem object of its own, such as the place to start again at a 410. */
  members?: Record<string, unknown>;
}

type Extras = Omit<ProblemExtras, 'retryAfter'>;

/** The codes of what may succeed later: each says when. */
type Temporary = 'too_many_requests' | 'unavailable';

/** An error the caller may see. Anything else that reaches the handler is a bug: logged whole, answered with a bare 500. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ProblemCode;
  readonly status: number;
  /** Response headers in REST. */
  readonly headers: Readonly<Record<string, string>>;
  readonly #extras: Extras & { retryAfter?: number | undefined };

  constructor(code: Exclude<ProblemCode, Temporary>, detail: string, extras?: ProblemExtras);
  constructor(code: ProblemCode, detail: string, extras: Extras & { retryAfter: number | undefined });
  constructor(code: ProblemCode, detail: string, extras: Extras & { retryAfter?: number | undefined } = {}) {
    super(detail);
    this.code = code;
    this.status = problems[code][0];
    const { headers = {}, retryAfter } = extras;
    this.headers = retryAfter === undefined ? headers : { ...headers, 'Retry-After': String(retryAfter) };
    this.#extras = extras;
  }

  /** The problem object of RFC 9457. */
  toProblem(requestId?: string): Problem {
    const { errors, retryAfter, members } = this.#extras;
    return {
      type: `urn:tidings:problem:${this.code}`,
      title: problems[this.code][1],
      status: this.status,
      detail: this.message,
      ...(requestId === undefined ? {} : { request_id: requestId }),
      ...(errors === undefined ? {} : { errors }),
      ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
      ...members,
    };
  }
}

/** A 401. `Bearer` is the challenge of RFC 6750. */
export function unauthorized(detail: string): AppError {
  return new AppError('unauthorized', detail, { headers: { 'WWW-Authenticate': 'Bearer' } });
}

/** A 401 after the deletion of an account: a token outlives its user by a moment. */
export function userIsGone(): AppError {
  return unauthorized('The user of this access token has been deleted.');
}

/** A 503. @param retryAfter seconds */
export function unavailable(detail: string, retryAfter: number, extras: ProblemExtras = {}): AppError {
  return new AppError('unavailable', detail, { ...extras, retryAfter });
}

/** A 429. @param retryAfter seconds */
export function tooManyRequests(detail: string, retryAfter: number): AppError {
  return new AppError('too_many_requests', detail, { retryAfter });
}

/** @throws {AppError} 503 if there is a reason, such as tables that are away */
export function refuseWhile(reason: string | undefined): void {
  if (reason !== undefined) throw unavailable(`${reason} Nothing was done. Try again.`, 2);
}

/**
 * A 422 that lists the errors of an input, the first one in its sentence.
 * @param most how many are listed: a small input can have thousands, and must not be answered with many times its size
 */
export function invalid(errors: readonly FieldError[], most: number): AppError {
  const first = errors[0]?.msg ?? 'The input is not valid';
  const detail = errors.length > 1 ? `${first}, and ${errors.length - 1} more.` : `${first}.`;
  return new AppError('invalid', detail, { errors: errors.slice(0, most) });
}
