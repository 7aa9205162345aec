import type { FieldError, Problem, ProblemCode } from './contract.ts';

/**
 * The error code: one of the server's, or `network` (no response, so the outcome is unknown), `aborted` (by your own
 * signal), `logged_out` (there is no session here), `overflow` (a reader of the feed fell too far behind),
 * `unsupported` (the service speaks a protocol of the feed that this client does not know), `unexpected` (an answer
 * that is not of Tidings, such as a proxy's error page).
 */
export type ErrorCode =
  ProblemCode | 'network' | 'aborted' | 'logged_out' | 'overflow' | 'unsupported' | 'unexpected';

const PROBLEM_TYPE = 'urn:tidings:problem:';

export interface TidingsErrorOptions {
  status?: number;
  problem?: Problem | undefined;
  /** Seconds. */
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** Whether it is a problem object of the service. RFC 9457 lets others leave out what is needed here, as a proxy may. */
export function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  const { type, status, detail } = value as Partial<Problem>;
  return typeof type === 'string' && typeof status === 'number' && typeof detail === 'string';
}

/** The problem object of an answer; undefined if that is something else. */
export function readProblem(text: string): Problem | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return isProblem(answer) ? answer : undefined;
  } catch {
    return undefined; // no JSON
  }
}

/** Every failure of a call. Its message is a sentence that may be shown to the user. */
export class TidingsError extends Error {
  override readonly name = 'TidingsError';
  readonly code: ErrorCode;
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** The server's problem object (RFC 9457) with whatever else it carries. */
  readonly problem: Problem | undefined;
  /** After how many seconds it is worth trying again, if the server said so. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: TidingsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? 0;
    this.problem = options.problem;
    this.retryAfter = options.retryAfter;
  }

  /** From a problem object of a REST answer, a refused handshake or a refused request on the socket. */
  static fromProblem(problem: Problem, retryAfter = problem.retry_after): TidingsError {
    const code = problem.type.startsWith(PROBLEM_TYPE)
      ? (problem.type.slice(PROBLEM_TYPE.length) as ProblemCode)
      : 'unexpected';
    return new TidingsError(code, problem.detail, { status: problem.status, problem, retryAfter });
  }

  /** Every fault of the input. Empty unless the input was at fault. */
  get errors(): readonly FieldError[] {
    return this.problem?.errors ?? [];
  }

  /** Of `suspended`: when it ends, undefined if nobody has said, and why. */
  get suspension(): { until: Date | undefined; reason: string } | undefined {
    if (this.code !== 'suspended') return undefined;
    const { until, reason } = this.problem as Problem & { until?: string | null; reason?: string | null };
    return { until: until ? new Date(until) : undefined, reason: reason ?? '' };
  }

  /**
   * The first fault of each field, by the field's name: `{ title: '"title" is required' }`. What is not about one field
   * stands under the empty name.
   */
  get fields(): Record<string, string> {
    const fields: Record<string, string> = {};
    for (const { loc, msg } of this.errors) fields[loc.slice(1).join('.')] ??= msg;
    return fields;
  }

  /** Whether the outcome is unknown, or it is known not to be done: a retry may help. */
  get temporary(): boolean {
    return (
      this.code === 'network' || this.code === 'too_many_requests' || [502, 503, 504].includes(this.status)
    );
  }
}
