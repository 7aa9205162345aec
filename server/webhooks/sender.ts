import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { unavailable } from '../errors.ts';
import { FairSemaphore } from '../queues/fair-semaphore.ts';
import {
  hostOf,
  isPrivateHost,
  isPublic,
  PrivateAddressError,
  PublicNames,
  UnknownNameError,
} from './addresses.ts';
import type { FailureReason, Outcome } from './present.ts';
import { signedHeaders } from './signature.ts';

/** Messages on their way at once from this process, and of one user; the others wait, each user in turn. */
const AT_ONCE = 50;
const AT_ONCE_OF_USER = 2;
/** Of users one of whose receivers has failed or taken so long: all of them together. Milliseconds. */
const AT_ONCE_OF_SLOW = 25;
const SLOW = 1000;
/** How long that is remembered of a user. Milliseconds. */
const SLOW_FOR = 10 * 60_000;
/** How much of an answer is read before its connection is closed, and for how long. Bytes, milliseconds. */
const MAX_ANSWER = 64 * 1024;
const ANSWER_LIMIT = 1000;
/** How long each address of a name is tried before the next one, milliseconds: an option of sockets. */
const ATTEMPTS = { autoSelectFamilyAttemptTimeout: 2500 };
/** Of the head of an answer. Bytes. */
const MAX_HEAD = 16 * 1024;
/** Answers that only say that one follows (100 to 199). */
const MAX_INTERIM = 10;

/** Statuses whose `Retry-After` counts. */
const BUSY = [429, 503];

/** Something that is posted to a webhook. */
export interface Message {
  id: string;
  body: string;
}

/** What came of a post. */
export interface Posted {
  outcome: Outcome;
  /** How long the receiver asks to be left alone, with a 429 or 503. Milliseconds; 0 if it does not say. */
  retryAfter: number;
}

/** Where it goes, and what it is signed with. */
export interface Destination {
  /** Whose webhook it is. */
  userId: number;
  url: string;
  secrets: readonly string[];
}

/** Who posts something. */
interface Turn {
  userId: number;
  /** Takes it out of the line. */
  signal: AbortSignal | undefined;
}

export interface WebhookSenderOptions {
  /** Whether addresses that are not public are connected to, and without TLS. */
  allowPrivate: boolean;
  /** From the look-up of the name to the head of the answer. Milliseconds. */
  limit: number;
  userAgent: string;
  /** Undefined: those of the system. */
  nameServers?: readonly string[];
}

class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

class NotHttpsError extends Error {
  override readonly name = 'NotHttpsError';
}

/** Posts messages. Redirects are not followed, and private addresses are not connected to. */
export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #closed = new AbortController();
  readonly #turns = turnsOf(AT_ONCE);
  readonly #slowTurns = turnsOf(AT_ONCE_OF_SLOW);
  /** Until when the receivers of a user are taken for slow, by the clock of `performance`; the next to be forgotten first. */
  readonly #slow = new Map<number, number>();
  /** Of users that post something or wait for it. */
  readonly #turnsOfUsers = new Map<number, FairSemaphore<Turn>>();

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  /** Aborted when the node stops and pings have had their time. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  close(): void {
    this.#closed.abort(unavailable('The node is shutting down. Try again.', 1));
  }

  /** How long a post takes at most. Milliseconds. */
  get longest(): number {
    return this.#options.limit + ANSWER_LIMIT;
  }

  /**
   * Runs work that posts a message, in the turn of its user. Users with slow receivers have turns of their own, half of all, so
   * that they do not hold up the others.
   * @throws the reason of the signal, if that ends the wait
   */
  async inTurn<T>(userId: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = { userId, signal };
    const own = this.#turnsOfUsers.get(userId) ?? turnsOf(AT_ONCE_OF_USER);
    this.#turnsOfUsers.set(userId, own);
    try {
      const inAll = () => this.#turns.run(turn, work);
      return await own.run(turn, () => (this.#isSlow(userId) ? this.#slowTurns.run(turn, inAll) : inAll()));
    } finally {
      if (own.running + own.waiting === 0) this.#turnsOfUsers.delete(userId);
    }
  }

  /**
   * Posts a message, signed with the time of this attempt. Resolves when its connection is closed.
   * @param stop ends it as a failure
   */
  async post(destination: Destination, message: Message, stop?: AbortSignal): Promise<Posted> {
    const began = performance.now();
    const posted = await this.#post(destination, message, stop);
    if (!posted.outcome.delivered || performance.now() - began > SLOW) this.#rememberSlow(destination.userId);
    return posted;
  }

  async #post(
    { url, secrets }: Destination,
    { id, body }: Message,
    stop: AbortSignal | undefined,
  ): Promise<Posted> {
    try {
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': this.#options.userAgent,
        ...signedHeaders(id, Date.now(), body, secrets),
      };
      const { status, retryAfter } = await this.#request(new URL(url), headers, body, stop);
      if (status >= 200 && status < 300) return { outcome: { delivered: true, status }, retryAfter: 0 };
      const reason = status >= 300 && status < 400 ? 'redirect' : 'status';
      return { outcome: { delivered: false, status, reason }, retryAfter };
    } catch (error) {
      return { outcome: { delivered: false, status: null, reason: reasonOf(error) }, retryAfter: 0 };
    }
  }

  #isSlow(userId: number): boolean {
    return (this.#slow.get(userId) ?? 0) > performance.now();
  }

  #rememberSlow(userId: number): void {
    const now = performance.now();
    this.#slow.delete(userId);
    this.#slow.set(userId, now + SLOW_FOR);
    for (const [user, until] of this.#slow) {
      if (until > now) break;
      this.#slow.delete(user);
    }
  }

  async #request(
    url: URL,
    headers: Record<string, string | number>,
    body: string,
    stop: AbortSignal | undefined,
  ): Promise<{ status: number; retryAfter: number }> {
    const { allowPrivate, limit, nameServers } = this.#options;
    const { protocol, port, pathname, search } = url;
    const host = hostOf(url);
    // Of a webhook that was made where this was allowed, too. Of an address itself nothing is looked up.
    if (!allowPrivate && protocol !== 'https:') throw new NotHttpsError('the address is not https');
    if (!allowPrivate && isPrivateHost(host)) throw new PrivateAddressError('the address is not public');
    stop?.throwIfAborted();
    const names = allowPrivate ? undefined : new PublicNames(nameServers);
    const send = protocol === 'https:' ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const request = send({
        method: 'POST',
        host,
        port: port === '' ? undefined : port,
        path: pathname + search,
        headers,
        agent: false,
        maxHeaderSize: MAX_HEAD,
        ...ATTEMPTS,
        ...(names && { lookup: names.lookup }),
      });
      let status: number | undefined;
      let retryAfter = 0;
      let interim = 0;
      // Whatever comes first, once: the end of the answer, its failure or the time limit.
      const end = (error?: Error) => {
        clearTimeout(timer);
        stop?.removeEventListener('abort', onStop);
        names?.cancel();
        request.destroy();
        if (status === undefined) reject(error ?? new Error('the connection was closed without an answer'));
        else resolve({ status, retryAfter });
      };
      const onStop = () => end(new Error('the attempt was ended'));
      let timer = setTimeout(() => end(new TimeLimitError('no answer in time')), limit);
      stop?.addEventListener('abort', onStop);
      request.on('error', end);
      request.on('close', () => end());
      request.on('socket', (socket) =>
        socket.once('connect', () => {
          if (!allowPrivate && !isPublic(socket.remoteAddress ?? ''))
            end(new PrivateAddressError('the address is not public'));
        }),
      );
      request.on('information', () => {
        interim += 1;
        if (interim > MAX_INTERIM) end(new Error('too many answers that say that one follows'));
      });
      // An answer of 101 gives the connection away, and nothing else of the request ends it.
      request.on('upgrade', (response, socket) => {
        status = response.statusCode ?? 0;
        socket.on('error', () => undefined).destroy();
        end();
      });
      request.on('response', (response) => {
        status = response.statusCode ?? 0;
        if (BUSY.includes(status)) retryAfter = millisecondsOf(response.headers['retry-after']);
        clearTimeout(timer);
        timer = setTimeout(end, ANSWER_LIMIT);
        readUpTo(MAX_ANSWER, response, end);
      });
      request.end(body);
    });
  }
}

/** Turns that users take one after the other. */
function turnsOf(atOnce: number): FairSemaphore<Turn> {
  return new FairSemaphore({
    atOnce,
    pathOf: ({ userId }) => [`u${userId}`],
    signalOf: ({ signal }) => signal,
  });
}

/** A `Retry-After`: seconds or a date (RFC 9110, 10.2.3). @returns 0 for anything else */
function millisecondsOf(retryAfter = ''): number {
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter) * 1000;
  const wait = Date.parse(retryAfter) - Date.now();
  return wait > 0 ? wait : 0;
}

/** Reads an answer that nobody is interested in, so that its sender need not see a broken connection. */
function readUpTo(most: number, response: IncomingMessage, end: () => void): void {
  let left = most;
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) end();
  });
  response.on('end', () => end());
}

const unresolved = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENODATA']);

function reasonOf(error: unknown): FailureReason {
  if (error instanceof PrivateAddressError) return 'private_address';
  if (error instanceof NotHttpsError) return 'not_https';
  if (error instanceof TimeLimitError) return 'timeout';
  const { code = '' } = error as { code?: string };
  if (error instanceof UnknownNameError || unresolved.has(code)) return 'name';
  if (/CERT|SSL|TLS|ALTNAME|ISSUER|SIGNATURE/.test(code)) return 'certificate';
  return 'connection';
}
