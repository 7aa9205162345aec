import { setTimeout as pause } from 'node:timers/promises';
import { shortened } from '../../faults/population.ts';
import { Api, logIn, PASSWORD, signUp, type TestUser } from '../../support/world.ts';
import type { AccountPlan, ConnectionPlan, RequestPlan, SocketPlan, Start, Wave } from './plan.ts';
import { type Asked, RawConnection } from './raw-connection.ts';
import { RawSocket } from './raw-socket.ts';
import type { Pass, Session } from './session.ts';
import type { Stage } from './stage.ts';
import { TableLock } from './table-lock.ts';

/** How long is waited for connections to come to where they are meant to be. Milliseconds. */
const MOMENT = 700;
/** Behind the first who waits for what is held. Milliseconds. */
const COME_ALONG = 100;
/** How long a short token lives, about. Milliseconds. */
const SHORT = 2000;
/** How often one connection asks again. */
const MOST_AGAIN = 3;
/** Between two posts of the writer. Milliseconds. */
const WRITES_EVERY = 120;
const AHEAD = 999_999_999;
/** How far back `near` is. */
const NEAR = 30;

/** A table that a test connection had, and when. Milliseconds since 1970. */
export interface Held {
  table: string;
  from: number;
  to: number;
}

/** What the connections of a life did. */
export interface Played {
  connections: RawConnection[];
  sockets: RawSocket[];
  held: Held[];
  /** When a node, by its address, was told to stop. */
  stops: Map<string, number>;
}

/** Plays waves on a stage and keeps what came of them. */
export class WavePlayer {
  readonly played: Played = { connections: [], sockets: [], held: [], stops: new Map() };
  readonly #stage: Stage;
  #writer: TestUser | undefined;
  #writing: Promise<void> | undefined;
  #writes = false;
  #ended = false;
  #head = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Signs up somebody who writes while the others listen. */
  async begin(): Promise<void> {
    // On the last node, which is not stopped if there are several.
    this.#writer = await signUp(this.#stage.nodes.at(-1)?.url ?? '');
    await this.#writer.post('/posts', { title: 'first', content: '' });
    await this.#lookAtHead();
    this.#writing = this.#write(this.#writer);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#writing;
  }

  /** Resolves when the endings have come, what was held is free, and a node that stops has ended. */
  async play(wave: Wave): Promise<void> {
    this.#writes = !wave.quiet && !wave.stop;
    const accounts = await Promise.all(wave.accounts.map((plan) => this.#arrive(plan)));
    await this.#lookAtHead();
    const cast = new Cast(this.#stage, wave, accounts, this.#head, this.played);
    await cast.warmUp();
    const held = wave.hold && { table: wave.hold, from: Date.now(), to: Infinity };
    const lock = wave.hold && (await TableLock.take(this.#stage.databaseUrl, wave.hold));
    if (held) this.played.held.push(held);
    cast.open();
    if (lock) {
      await reached(async () => (await lock.waiting()) > 0, MOMENT);
      await pause(COME_ALONG);
    } else await reached(() => cast.inPlace(), MOMENT);
    if (wave.redisGone) await this.#stage.redis?.kill();
    const stopping = wave.stop && this.#stopNode(wave);
    const ending = wave.accounts.map((plan, at) => this.#end(plan, accounts[at] ?? []));
    const following = cast.followUp();
    // Those that wait for what is held end when it is free.
    await Promise.all(ending.map((one) => Promise.race([one, pause(2 * MOMENT)])));
    if (lock && held) {
      await pause(wave.holdFor);
      held.to = Date.now();
      await lock.release();
    }
    if (!wave.stop) this.#writes = true;
    await Promise.all([...ending, following, stopping]);
    if (wave.redisGone) await this.#stage.redis?.restart();
  }

  async #lookAtHead(): Promise<void> {
    const page = await this.#writer?.get<{ head: number }>('/events');
    if (page?.status === 200) this.#head = page.body.head;
  }

  async #arrive({ sessions, node }: AccountPlan): Promise<Session[]> {
    const user = await signUp(this.#stage.node(node).url);
    const others = Array.from({ length: sessions - 1 }, () => logIn(user.url, user));
    return [user, ...(await Promise.all(others))].map((one) => ({
      user: one,
      endingAt: undefined,
      endedAt: undefined,
    }));
  }

  async #stopNode({ stop, quiet }: Wave): Promise<void> {
    if (!stop) return;
    const node = this.#stage.node(stop.node);
    await pause(stop.at);
    if (!node.running) return;
    this.#stage.expectStop(node);
    this.played.stops.set(node.url, Date.now());
    const again = stop.again;
    const stopped = node.stop();
    this.#writes = !quiet;
    if (again !== undefined)
      void pause(again).then(() => {
        if (node.running) process.kill(node.pid, 'SIGTERM');
      });
    await stopped;
  }

  async #end({ ending, at }: AccountPlan, sessions: readonly Session[]): Promise<void> {
    await pause(at);
    const [first, second] = sessions;
    if (!first || !second) return;
    const { user } = first;
    switch (ending) {
      case 'logout':
        return ended([first], () => user.post('/logout'));
      case 'logout of all':
        return ended([first, second], () => user.post('/logout/all'));
      case 'deletion':
        return ended([first, second], () => user.delete('/users/me', { password: PASSWORD }));
      case 'password':
        // The session that asks for it continues.
        return ended([second], () =>
          user.patch('/users/me', { password: `${PASSWORD} anew`, current_password: PASSWORD }),
        );
      case 'reuse': {
        const refresh = (token: string) =>
          new Api(user.url).post<{ refresh_token: string }>('/refresh', { refresh_token: token });
        const next = await refresh(user.refreshToken).catch(() => undefined);
        const used =
          next?.status === 200 ? await refresh(next.body.refresh_token).catch(() => undefined) : undefined;
        // Its successor has been used: anyone who comes with it now has stolen one of the two.
        if (used?.status !== 200) return;
        return ended([first], async () => {
          const { status } = await refresh(user.refreshToken);
          return { status: status === 401 ? 204 : status };
        });
      }
      case 'expiry':
      case 'nothing':
    }
  }

  async #write(writer: TestUser): Promise<void> {
    while (!this.#ended) {
      if (this.#writes) {
        const answer = await writer.post('/posts', { title: 'news', content: 'x' }).catch(() => undefined);
        if (answer !== undefined && answer.status !== 201 && answer.status !== 503)
          this.#stage.violations.push(`a post was answered with ${answer.status}`);
      }
      await pause(WRITES_EVERY);
    }
  }
}

/** @param act ends them, and is answered 2xx when they have ended */
async function ended(sessions: readonly Session[], act: () => Promise<{ status: number }>): Promise<void> {
  for (const session of sessions) session.endingAt = Date.now();
  const answer = await act().catch(() => undefined);
  // Without an answer nobody knows.
  if (answer && answer.status >= 200 && answer.status < 300)
    for (const session of sessions) session.endedAt = Date.now();
}

/** The connections of one wave. */
class Cast {
  readonly #stage: Stage;
  readonly #wave: Wave;
  readonly #accounts: readonly (readonly Session[])[];
  readonly #head: number;
  readonly #played: Played;
  readonly #connections: { plan: ConnectionPlan; connection: RawConnection }[] = [];
  readonly #sockets: { plan: SocketPlan; socket: RawSocket }[] = [];

  constructor(
    stage: Stage,
    wave: Wave,
    accounts: readonly (readonly Session[])[],
    head: number,
    played: Played,
  ) {
    this.#stage = stage;
    this.#wave = wave;
    this.#accounts = accounts;
    this.#head = head;
    this.#played = played;
  }

  /** Opens connections that are to have been used before the rest. */
  async warmUp(): Promise<void> {
    for (const plan of this.#wave.connections) {
      if (plan.lateBy !== undefined) continue;
      const connection = this.#connect(plan);
      if (plan.used)
        connection.send([this.#asked({ ...plan.again, kind: 'read', start: 'now', method: 'GET' })]);
    }
    for (const plan of this.#wave.sockets) this.#openSocket(plan);
    await reached(
      () =>
        this.#connections.every(({ connection, plan }) =>
          plan.used ? connection.asked[0]?.answer?.wholeAt !== undefined : connection.connected,
        ) && this.#sockets.every(({ socket }) => socket.opened),
      MOMENT,
    );
  }

  /** Sends as much as is to be sent before the endings. */
  open(): void {
    for (const { plan, connection } of this.#connections) {
      if (plan.moment !== 'connected')
        connection.send(
          plan.requests.map((request) => this.#asked(request)),
          plan.moment === 'half sent' ? plan.share : 1,
        );
      if (plan.then === 'pause') connection.pause();
    }
    for (const { plan, socket } of this.#sockets) if (plan.moment !== 'connected') this.#join(plan, socket);
  }

  /** Whether everyone has come as far as was meant; who is kept from it by what is held never does. */
  inPlace(): boolean {
    return (
      this.#connections.every(
        ({ plan, connection }) =>
          plan.moment !== 'begun' ||
          plan.then === 'pause' ||
          connection.closedAt !== undefined ||
          connection.asked.some(({ kind, answer }) => kind === 'poll' || answer !== undefined),
      ) &&
      this.#sockets.every(
        ({ plan, socket }) =>
          plan.moment !== 'begun' ||
          socket.readyAt !== undefined ||
          socket.refused !== undefined ||
          socket.closedAt !== undefined,
      )
    );
  }

  /** What the clients do once the endings have begun. */
  async followUp(): Promise<void> {
    const before = this.#connections.map(async ({ plan, connection }) => {
      this.#askAnew(plan, connection);
      await pause(plan.thenAt);
      if (plan.moment === 'connected' && connection.open)
        connection.send(plan.requests.map((request) => this.#asked(request)));
      connection.sendRest();
      const { then } = plan;
      if (then === 'abort' || then === 'reset' || then === 'end') connection.leave(then);
      if (then === 'pause') {
        await pause(MOMENT);
        connection.resume();
      }
    });
    const late = this.#wave.connections.map(async (plan) => {
      if (plan.lateBy === undefined) return;
      await pause(plan.lateBy);
      if (this.#played.stops.has(this.#urlOf(plan)) && !this.#stage.node(plan.node).running) return;
      const connection = this.#connect(plan);
      connection.send(plan.requests.map((request) => this.#asked(request)));
      this.#askAnew(plan, connection);
    });
    const sockets = this.#sockets.map(async ({ plan, socket }) => {
      await pause(plan.thenAt);
      if (plan.moment === 'connected') this.#join(plan, socket);
      if (plan.then === 'abort') socket.leave();
      if (plan.then === 'pause') socket.pause();
      // Of the same account, and sometimes of another of its sessions.
      if (plan.then === 'renew' && socket.readyAt !== undefined)
        socket.renew(this.#pass({ ...plan, session: (plan.session + plan.thenAt) % 2 }));
    });
    await Promise.all([...before, ...late, ...sockets]);
  }

  #connect(plan: ConnectionPlan): RawConnection {
    const connection = new RawConnection(this.#urlOf(plan));
    this.#connections.push({ plan, connection });
    this.#played.connections.push(connection);
    return connection;
  }

  #openSocket(plan: SocketPlan): void {
    const socket = new RawSocket(this.#urlOf(plan), this.#pass(plan));
    this.#sockets.push({ plan, socket });
    this.#played.sockets.push(socket);
  }

  #join(plan: SocketPlan, socket: RawSocket): void {
    // A token that was made when the connection was may have ended by now, and one that is made now is what is meant.
    socket.pass = this.#pass(plan);
    socket.join(this.#after(plan.start));
  }

  #askAnew(plan: ConnectionPlan, connection: RawConnection): void {
    if (plan.then !== 'again') return;
    let left = MOST_AGAIN;
    const ask = () => {
      if (
        left === 0 ||
        !connection.open ||
        connection.asked.some(({ answer }) => answer?.wholeAt === undefined)
      )
        return;
      left -= 1;
      connection.send([this.#asked(plan.again)]);
    };
    connection.onAnswer = ask;
    if (connection.asked.length > 0) ask();
  }

  #urlOf({ node }: { node: number }): string {
    return this.#stage.node(node).url;
  }

  #asked(plan: RequestPlan): Omit<Asked, 'sentAt' | 'answer'> {
    const { kind, wait, method, start } = plan;
    const after = this.#after(start);
    const query = new URLSearchParams(after === undefined ? {} : { after: String(after) });
    let path = '/posts?limit=5';
    if (kind === 'stream') path = '/events/stream';
    if (kind === 'poll' || kind === 'read') {
      path = '/events';
      query.set('limit', '20');
      if (wait > 0) query.set('wait', String(wait));
    }
    if (kind !== 'list' && query.size > 0) path += `?${query.toString()}`;
    return { kind, path, method, pass: this.#pass(plan) };
  }

  #after(start: Start): number | undefined {
    if (start === 'now') return undefined;
    if (start === 'ahead') return AHEAD;
    return start === 'log' ? 0 : Math.max(0, this.#head - NEAR);
  }

  #pass({ account, session, short }: { account: number; session: number; short: boolean }): Pass {
    const of = this.#accounts[account]?.[session];
    if (!of) throw new Error(`there is no session ${session} of account ${account}`);
    if (!short) return { session: of, token: of.user.token, expiresAt: Infinity };
    const { token, endsAt } = shortened(of.user, SHORT);
    return { session: of, token, expiresAt: endsAt };
  }
}

/** Waits for a condition, but not for long: what is not reached is met at another moment than was meant. */
export async function reached(condition: () => boolean | Promise<boolean>, within: number): Promise<boolean> {
  const until = Date.now() + within;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() > until) return false;
    await pause(5);
  }
}
