import { isJson, type WireAnswer } from './answer-reader.ts';
import type { Asked, RawConnection } from './raw-connection.ts';
import type { RawSocket } from './raw-socket.ts';
import { endOf, type Pass } from './session.ts';
import type { Held, Played } from './wave-player.ts';

/** What the judgement of a connection depends on beside itself. */
export interface JudgeContext extends Pick<Played, 'held' | 'stops'> {
  /** How long a node continues serving when it was told to stop. Milliseconds. */
  shutdownDelay: number;
  /** Whether sessions may be ended by another process than the one that a connection leads to. */
  isShared: boolean;
  /** For how long the processes were kept from running. Milliseconds. */
  waited: (from: number, to: number) => number;
  now: number;
}

/** Nothing is delivered later than this after the end of a session (CONTRACT, 4), and nobody has to wait longer. Milliseconds. */
const LATE = 2000;
/** How long an answer may be on its way that was given before another one. Milliseconds. */
const PROMPT = 300;
/** How long a token works on another process for reading. Milliseconds. */
const READS = 1000;
/** The difference of two looks at the clock. Milliseconds. */
const CLOCK = 60;
/** So long a replay that a client has not read all of it when its end is said: it has a second for that, and is cut off. */
const FROM_THE_START = 'after=0';

const REFUSALS = new Set([401, 503]);

/** What is wrong with what a connection has told, one sentence each. */
export function faultsOf(connection: RawConnection, around: JudgeContext): string[] {
  const faults: string[] = [];
  const { reader, asked } = connection;
  if (reader.fault !== undefined && connection.leftAt === undefined) faults.push(`HTTP: ${reader.fault}`);
  const judge = new Judge(connection.url, around);
  for (const [at, one] of asked.entries()) {
    const { answer } = one;
    const found = answer
      ? judge.answered(one, answer, connection, at)
      : judge.unanswered(one, connection, at);
    if (connection.pausedAt === undefined && one.sentAt !== undefined)
      found.push(...judge.ofEnd(one, connection, at));
    if (found.length > 0)
      faults.push(
        `${found.join(', ')}: ${connection.asked.map((_, other) => describe(connection, other)).join('\n    ')}`,
      );
  }
  return faults;
}

/** What is wrong with what a socket was told, one sentence each. */
export function socketFaultsOf(socket: RawSocket, around: JudgeContext): string[] {
  return new Judge(socket.url, around).socket(socket).map((fault) => `${fault}: ${describeSocket(socket)}`);
}

class Judge {
  readonly #around: JudgeContext;
  /** When its node was told to stop, and from when on it refuses. */
  readonly #stopAt: number;
  readonly #drainAt: number;

  constructor(url: string, around: JudgeContext) {
    this.#around = around;
    this.#stopAt = around.stops.get(url) ?? Infinity;
    this.#drainAt = this.#stopAt + around.shutdownDelay;
  }

  answered(asked: Asked, answer: WireAnswer, connection: RawConnection, at: number): string[] {
    const faults: string[] = [];
    const { status, headAt, headers, wholeAt } = answer;
    // Of a request that never came whole Node says so.
    if (asked.sentAt === undefined)
      return status === 408 || status === 503 ? [] : [`answered ${status} to half a request`];
    const { kind, pass, path } = asked;
    const end = endOf(pass);
    if (status === 401) {
      if (end.from > headAt + CLOCK) faults.push('refused with 401 while its session lives');
    } else if (status === 503) {
      if (headAt < this.#drainAt - CLOCK && !this.#isHeld(turnOf(connection, at), headAt))
        faults.push('refused with 503 by a node that can serve');
      if (!/^\d+$/.test(headers.get('retry-after') ?? '')) faults.push('503 without Retry-After');
    } else if (status === 410) {
      if (!path.includes('after=999999999')) faults.push('refused with 410');
    } else if (status !== 200) faults.push(`answered ${status}`);
    else if (kind === 'stream' && asked.method === 'GET')
      faults.push(...this.#stream(asked, answer, connection));
    if (kind !== 'stream' || status !== 200) faults.push(...bodyFaults(asked, answer));
    if (wholeAt === undefined && connection.closedAt !== undefined && !hasLeft(connection)) {
      // It is cut off where what waits for it would be read after the end of its session.
      const isLong = kind === 'stream' && path.includes(FROM_THE_START);
      const mayBeCut = isLong && Math.min(end.from, this.#drainAt) < connection.closedAt;
      if (!mayBeCut) faults.push('cut');
    }
    return faults;
  }

  #stream(asked: Asked, { events, wholeAt, headAt }: WireAnswer, connection: RawConnection): string[] {
    const faults = [];
    const after = Number(/after=(\d+)/.exec(asked.path)?.[1] ?? Number.NaN);
    let seq = after;
    for (const { event, id } of events) {
      if (event === 'reset') seq = Number(id.split(':')[1]);
      if (!event.startsWith('post:')) continue;
      const next = Number(id.split(':')[1]);
      if (!Number.isNaN(seq) && next !== seq + 1) faults.push(`${next} follows ${seq}`);
      seq = next;
    }
    if (headAt > this.#drainAt + LATE + 4000) faults.push('begun long after the node had begun to stop');
    if (wholeAt === undefined) return faults;
    const last = events.at(-1);
    if (last?.event !== 'session:closed') faults.push('a stream ended without saying why');
    else {
      const { code } = JSON.parse(last.data) as { code: string };
      if (!this.#mayEnd(code, last.at, asked.pass, asked.path, connection))
        faults.push(`a stream was ended with ${code} for no reason`);
    }
    return faults;
  }

  #mayEnd(
    code: string,
    at: number,
    pass: Pass,
    path: string,
    connection: { pausedAt: number | undefined },
  ): boolean {
    const { revoked, expired } = endOf(pass);
    switch (code) {
      case 'revoked':
        return revoked.from <= at + CLOCK;
      case 'expired':
        return expired.from <= at + CLOCK;
      case 'draining':
        return this.#drainAt <= at + CLOCK;
      case 'slow_consumer':
        return connection.pausedAt !== undefined || path.includes(FROM_THE_START);
      case 'reset':
        return this.#isHeld(0, at);
      default:
        return false;
    }
  }

  unanswered(asked: Asked, connection: RawConnection, at: number): string[] {
    const { kind, path } = asked;
    const turn = turnOf(connection, at);
    if (turn === Infinity || hasLeft(connection)) return [];
    const { closedAt } = connection;
    const { waited, now } = this.#around;
    if (closedAt === undefined) {
      const wait = kind === 'poll' ? Number(/wait=(\d+)/.exec(path)?.[1] ?? 0) * 1000 : 0;
      const from = this.#freeAfter(turn);
      return now - from > wait + LATE + waited(from, now) ? ['has no answer'] : [];
    }
    if (connection.asked[at - 1]?.answer?.headers.get('connection') === 'close') return [];
    // What came while the node was about to close its connections has not been read.
    if (turn > this.#drainAt - CLOCK) return [];
    if (closedAt > this.#drainAt && this.#isHeld(this.#drainAt, closedAt)) return [];
    return ['closed without an answer'];
  }

  /** What the end of its session asks of a request. */
  ofEnd(asked: Asked, connection: RawConnection, at: number): string[] {
    const { answer, pass, kind, sentAt } = asked;
    const end = endOf(pass);
    const turn = turnOf(connection, at);
    const { now, waited, isShared } = this.#around;
    if (end.by > now || turn === Infinity) return [];
    // What was asked afterwards. When its turn came we know from the answer before it, which we may have read late.
    const slack = turn === sentAt ? CLOCK : READS;
    const admitted = isShared && (kind === 'list' || kind === 'read') ? READS : 0;
    if (turn > this.#freeAfter(end.by) + admitted + slack) {
      const isRefused = answer === undefined || REFUSALS.has(answer.status);
      return isRefused ? [] : [`answered ${answer.status} to a session that had ended`];
    }
    const isOpened =
      answer !== undefined && !this.#around.held.some(({ to }) => to < answer.headAt && to > turn);
    const may = isShared || (kind !== 'poll' && !isOpened) || this.#waitsForSession(turn);
    const from = Math.max(may ? this.#freeAfter(end.by) : end.by, turn);
    const limit = (until: number) => from + LATE + waited(from, until);
    const faults: string[] = [];
    const over = answer?.wholeAt ?? connection.closedAt ?? connection.leftAt;
    if (over === undefined ? now > limit(now) : over > limit(over)) faults.push('outlives its session');
    const last = answer?.events.findLast(({ event }) => event.startsWith('post:'));
    if (last && last.at > limit(last.at))
      faults.push(`an event came ${last.at - end.by} ms after the end of its session`);
    if (kind === 'poll' && answer?.status === 200) {
      const { headAt } = answer;
      // In one process a request that waits is ended before the logout is answered.
      const isAtOnce = !isShared && end.by === end.revoked.by;
      const latest = isAtOnce ? Math.max(end.by, turn) + PROMPT + waited(end.by, headAt) : limit(headAt);
      if (headAt > latest) faults.push(`events came ${headAt - end.by} ms after the end of its session`);
    }
    return faults;
  }

  socket(socket: RawSocket): string[] {
    const faults: string[] = [...socket.faults];
    const { pass, readyAt, joinedAt, refused, closed, closedAt, events, leftAt, pausedAt } = socket;
    const { now, waited, isShared } = this.#around;
    const end = endOf(pass);
    let seq = Number.NaN;
    for (const event of events) {
      if (!Number.isNaN(seq) && event.seq !== seq + 1) faults.push(`${event.seq ?? 0} follows ${seq}`);
      seq = event.seq ?? Number.NaN;
    }
    if (refused?.status === 401 && end.from > refused.at + CLOCK)
      faults.push('refused while its session lives');
    else if (refused?.status === 503) {
      if (refused.at < this.#drainAt - CLOCK && !this.#isHeld(joinedAt ?? 0, refused.at))
        faults.push('refused with 503 by a node that can serve');
    } else if (refused && refused.status !== 401) faults.push(`refused with ${refused.status}`);
    if (leftAt !== undefined || pausedAt !== undefined) return faults;
    if (joinedAt !== undefined && readyAt === undefined && !refused && closedAt === undefined) {
      const from = this.#freeAfter(joinedAt);
      if (now - from > LATE + waited(from, now)) faults.push('has no answer to its handshake');
    }
    if (readyAt !== undefined && closedAt !== undefined && !closed && end.from > closedAt)
      faults.push('closed without saying why');
    if (closed && !this.#mayEnd(closed.code, closed.at, pass, '', socket))
      faults.push(`closed with ${closed.code} for no reason`);
    if (end.by > now || joinedAt === undefined) return faults;
    if (joinedAt > this.#freeAfter(end.by) + (isShared ? READS : 0) + CLOCK) {
      if (readyAt !== undefined) faults.push('joined with a session that had ended');
      return faults;
    }
    const from = isShared || readyAt === undefined ? this.#freeAfter(end.by) : end.by;
    const limit = (until: number) => from + LATE + waited(from, until);
    const over = closedAt ?? refused?.at;
    if (over === undefined ? now > limit(now) : over > limit(over)) faults.push('outlives its session');
    const last = events.at(-1);
    if (last && last.at > limit(last.at))
      faults.push(`an event came ${last.at - end.by} ms after the end of its session`);
    return faults;
  }

  #isHeld(from: number, to: number): boolean {
    return this.#around.held.some((held) => held.from < to && held.to > from);
  }

  /** Whether what was held when it came kept a request from being known to be of its session. */
  #waitsForSession(sentAt: number): boolean {
    return this.#around.held.some(
      ({ table, from, to }) => (table === 'sessions' || table === 'posts') && from < sentAt && to > sentAt,
    );
  }

  /** The time, or when what was held at that time was free. */
  #freeAfter(time: number): number {
    return this.#around.held.reduce(
      (latest: number, { from, to }: Held) =>
        from <= time + LATE && to > time ? Math.max(latest, to) : latest,
      time,
    );
  }
}

/**
 * When a request's turn came: one that stands behind an unanswered one is not looked at, whatever happens meanwhile. Infinity:
 * not yet.
 */
function turnOf({ asked }: RawConnection, at: number): number {
  const sentAt = asked[at]?.sentAt ?? Infinity;
  const before = asked[at - 1];
  return before ? Math.max(sentAt, before.answer?.wholeAt ?? Infinity) : sentAt;
}

/** Whether its client has gone, or did not read: what is missing then is no fault. */
function hasLeft({ leftAt, pausedAt }: RawConnection): boolean {
  return leftAt !== undefined || pausedAt !== undefined;
}

function bodyFaults({ method, kind }: Asked, { body, headers, status, wholeAt }: WireAnswer): string[] {
  if (wholeAt === undefined || method === 'HEAD') return [];
  if (!isJson(body)) return ['a body that is no JSON'];
  const value = JSON.parse(body) as { status?: number; events?: { seq: number }[] };
  if (status !== 200) {
    const isProblem =
      headers.get('content-type')?.startsWith('application/problem+json') && value.status === status;
    return isProblem ? [] : ['a refusal that is no problem'];
  }
  if (kind === 'list') return Array.isArray(value) ? [] : ['a page that is no list'];
  const seqs = value.events?.map(({ seq }) => seq);
  return seqs?.every((seq, at) => at === 0 || seq === (seqs[at - 1] ?? 0) + 1) ? [] : ['events with a hole'];
}

function describe(connection: RawConnection, at: number): string {
  const asked = connection.asked[at];
  if (!asked) return '';
  const { answer, sentAt = 0 } = asked;
  const end = endOf(asked.pass);
  const since = (time: number | undefined) =>
    time === undefined || !Number.isFinite(time) ? '-' : time - sentAt;
  return (
    `${asked.method} ${asked.path} (${at + 1} of ${connection.asked.length}), sent at ${sentAt}, ` +
    `answered ${answer?.status ?? '-'} after ${since(answer?.headAt)}, whole ${since(answer?.wholeAt)}, last ${answer?.events.at(-1)?.data.slice(0, 90) ?? answer?.body.slice(0, 90) ?? '-'}, ` +
    `closed ${since(connection.closedAt)}, left ${since(connection.leftAt)}, session ended ${since(end.from)}–${since(end.by)}`
  );
}

function describeSocket({
  pass,
  joinedAt = 0,
  readyAt,
  refused,
  closed,
  closedAt,
  leftAt,
  events,
}: RawSocket): string {
  const end = endOf(pass);
  const since = (time: number | undefined) =>
    time === undefined || !Number.isFinite(time) ? '-' : time - joinedAt;
  return (
    `socket joined at ${joinedAt}, ready ${since(readyAt)}, refused ${refused?.status ?? '-'}, ${events.length} events, ` +
    `told ${closed?.code ?? '-'} ${since(closed?.at)}, closed ${since(closedAt)}, left ${since(leftAt)}, session ended ${since(end.from)}–${since(end.by)}`
  );
}
