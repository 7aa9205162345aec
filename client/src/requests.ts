import { DeadlineExceeded, withDeadline } from './deadline.ts';
import { delay, jittered } from './delay.ts';
import { readProblem, TidingsError } from './tidings-error.ts';

export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the service: `/posts`. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  body?: object;
  headers?: Record<string, string | undefined>;
  /** Whether doing it twice does no harm: only then is it tried again when no answer came. */
  repeatable: boolean;
  /** Whether a second attempt that finds nothing to delete has got what it wanted. */
  goneIsDone?: boolean;
  signal?: AbortSignal | undefined;
  /** Milliseconds for one attempt. */
  timeout?: number;
  /** Reads a success that is not JSON. */
  read?: (response: Response) => Promise<unknown>;
}

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const ATTEMPTS = 4;
/** Milliseconds for one attempt. */
const TIMEOUT = 15_000;
/** The longest that the server may ask for before it is the caller's affair. Seconds. */
const MAX_RETRY_AFTER = 5;

/** Asks the service over HTTP. Knows of no session. */
export class Requests {
  readonly #base: string;
  readonly #fetch: Fetch;
  readonly #credentials: Pick<RequestInit, 'credentials'>;

  /** @param withCredentials whether cookies go along to another origin, and are taken from it */
  constructor(base: string, fetch: Fetch, withCredentials: boolean) {
    this.#base = base;
    this.#fetch = fetch;
    this.#credentials = withCredentials ? { credentials: 'include' } : {};
  }

  /**
   * The answer, if it is a success. What is repeatable is tried again after a lost connection and after a 502, 503 or
   * 504, each time later.
   * @throws {TidingsError}
   */
  async send<T>(request: Request): Promise<Answer<T>> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await this.#attempt<T>(request);
      } catch (error) {
        if (!(error instanceof TidingsError)) throw error;
        // The attempt before, whose answer was lost, has done it.
        if (request.goneIsDone && attempts > 1 && error.code === 'not_found')
          return { status: 204, headers: new Headers(), body: undefined as T };
        if (!request.repeatable || attempts >= ATTEMPTS) throw error;
        if (!isOutage(error) || (error.retryAfter ?? 0) > MAX_RETRY_AFTER) throw error;
        const wait = (error.retryAfter ?? 0) * 1000 + jittered(250 * 2 ** attempts);
        await delay(wait, request.signal);
      }
    }
  }

  async #attempt<T>(request: Request): Promise<Answer<T>> {
    const { method, body, signal, timeout = TIMEOUT, read } = request;
    const headers = new Headers({ Accept: 'application/json' });
    if (body !== undefined) headers.set('Content-Type', 'application/json');
    for (const [name, value] of Object.entries(request.headers ?? {})) {
      if (value !== undefined) headers.set(name, value);
    }
    let response: Response;
    let text: string;
    let given: unknown;
    try {
      [response, text, given] = await withDeadline(timeout, signal, async (either) => {
        const answered = await this.#fetch(this.#base + request.path + queryString(request.query), {
          method,
          headers,
          ...this.#credentials,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: either,
        });
        if (answered.ok && read) return [answered, '', await read(answered)];
        return [answered, await answered.text(), undefined];
      });
    } catch (cause) {
      if (cause instanceof TidingsError) throw cause;
      if (signal?.aborted) throw new TidingsError('aborted', 'The request was given up.', { cause });
      const said =
        cause instanceof DeadlineExceeded
          ? 'The server did not answer in time.'
          : 'The server cannot be reached.';
      throw new TidingsError('network', said, { cause });
    }
    if (!response.ok) throw refusal(response, text);
    return {
      status: response.status,
      headers: response.headers,
      body: (given ?? parse(response, text)) as T,
    };
  }
}

function isOutage(error: TidingsError): boolean {
  return error.code === 'network' || [502, 503, 504].includes(error.status);
}

function queryString(query: Request['query'] = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) params.set(name, String(value));
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** @throws {TidingsError} it is no answer of the service: one with a 200 or a 201 has a body */
function parse(response: Response, text: string): unknown {
  if (text === '' && response.status >= 202) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TidingsError('unexpected', 'The answer is not JSON.', { status: response.status, cause });
  }
}

function refusal(response: Response, text: string): TidingsError {
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  const isProblem = response.headers.get('content-type')?.includes('problem+json');
  const problem = isProblem ? readProblem(text) : undefined;
  if (problem) return TidingsError.fromProblem(problem, retryAfter);
  return new TidingsError('unexpected', `The server answered with ${response.status}.`, {
    status: response.status,
    retryAfter,
  });
}
