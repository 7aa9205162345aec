import { bearer } from './bearer.ts';
import { unlessAborted } from './delay.ts';
import type { Answer, Request, Requests } from './requests.ts';
import type { Session } from './session.ts';
import { TidingsError } from './tidings-error.ts';

/** Sends requests as the logged-in user. */
export class Caller {
  readonly #requests: Requests;
  readonly #session: Session;

  constructor(requests: Requests, session: Session) {
    this.#requests = requests;
    this.#session = session;
  }

  /**
   * A token that the server refuses is renewed once, and the request sent again: a 401 comes before anything is done, so
   * this harms no request.
   * @throws {TidingsError} `logged_out`: there is no session, or another user has logged in meanwhile
   */
  async call<T>(request: Request): Promise<Answer<T>> {
    const { signal } = request;
    const token = await unlessAborted(this.#session.accessToken(), signal);
    try {
      return await this.#requests.send<T>(withToken(request, token));
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'unauthorized') throw error;
      return this.#requests.send<T>(
        withToken(request, await unlessAborted(this.#session.renew(token), signal)),
      );
    }
  }

  /**
   * As the user if somebody is logged in, else as nobody: for what everyone may see, at least where the operator allows it.
   * @throws {TidingsError} `logged_out` where a session is needed and there is none
   */
  async callAsAnyone<T>(request: Request): Promise<Answer<T>> {
    if (this.#session.look()) return this.call<T>(request);
    try {
      return await this.#requests.send<T>(request);
    } catch (error) {
      if (!(error instanceof TidingsError) || error.code !== 'unauthorized') throw error;
      throw new TidingsError('logged_out', 'Nobody is logged in.', { status: 401, cause: error });
    }
  }

  /** Something that is read, and may be asked for again. @throws {TidingsError} */
  get<T>(path: string, query: NonNullable<Request['query']>, signal: AbortSignal | undefined) {
    return this.call<T>({ method: 'GET', path, query, repeatable: true, signal });
  }

  /** The body of the answer. @throws {TidingsError} */
  async body<T>(request: Request): Promise<T> {
    return (await this.call<T>(request)).body;
  }
}

function withToken(request: Request, token: string): Request {
  return { ...request, headers: { ...request.headers, ...bearer(token) } };
}
