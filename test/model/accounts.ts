import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { Stopwatch } from '../support/waiting.ts';
import { type Answer, Api, type TestUser } from '../support/world.ts';
import type { Violation } from './rules.ts';

/**
 * Turns of the event loop in which everything comes up that had been written to a connection before: each reads what has
 * come to every connection, and there is a proxy in between. However slow the machine is.
 */
const TURNS = 20;
/** For how long something may still come over the connections of a session that has ended. Milliseconds. */
const CLOSED_WITHIN = 5000;
/** How often somebody tries to log in, and between two tries. Milliseconds. */
const TRIES = 20;
const BETWEEN_TRIES = 250;

/** Resolves when nothing is left on its way that was written before. */
export async function allCome(): Promise<void> {
  for (let turns = 0; turns < TURNS; turns += 1) await turn();
}

/** The end of the sessions of somebody, that was answered for. */
export interface SessionEnd {
  userId: number;
  asked: number;
  /** From here on nothing may come over a connection that was opened before it was asked. */
  over: number | undefined;
}

type Ending = () => Promise<Answer | undefined>;

/** Who has a session, who is suspended and who is gone, as far as the people know it. */
export class Accounts {
  readonly ends: SessionEnd[] = [];
  /** User → when the end of the account was asked for. */
  readonly erased = new Map<number, number>();
  readonly violations: Violation[] = [];
  readonly #url: () => string;
  readonly #gone = new Set<number>();
  /** User → whether the suspension was answered for, and has no end. */
  readonly #suspended = new Map<number, boolean>();
  readonly #busy = new Set<number>();

  /** @param url of a node that may be asked */
  constructor(url: () => string) {
    this.#url = url;
  }

  get suspended(): readonly number[] {
    return [...this.#suspended.keys()];
  }

  isGone(userId: number): boolean {
    return this.#gone.has(userId);
  }

  /** Whether nobody can be in this account now. */
  isShutOut(userId: number): boolean {
    return this.#gone.has(userId) || this.#suspended.has(userId);
  }

  /** When the last end of the sessions of a user was asked for, of those that were answered. Milliseconds since 1970. */
  endOf(userId: number): number {
    return this.ends.findLast((end) => end.userId === userId)?.asked ?? 0;
  }

  /** Does one thing at a time to an account; nothing while another is being done. */
  async exclusively(userId: number, act: () => Promise<void>): Promise<void> {
    if (this.#busy.has(userId)) return;
    this.#busy.add(userId);
    try {
      await act();
    } finally {
      this.#busy.delete(userId);
    }
  }

  /** @param ask what ends the sessions of a user */
  async end(userId: number, ask: Ending): Promise<Answer | undefined> {
    const asked = Date.now();
    const answer = await ask();
    if (!answer || answer.status >= 300) return answer;
    const end: SessionEnd = { userId, asked, over: undefined };
    this.ends.push(end);
    void this.#closing(end);
    return answer;
  }

  /** @param hasEnd whether the suspension ends by itself */
  async suspend({ id }: TestUser, hasEnd: boolean, ask: Ending): Promise<void> {
    const answer = await this.end(id, ask);
    const isDone = answer?.status === 201;
    // Of one that was not answered nobody knows.
    if (!answer || isDone || answer.status >= 500) this.#suspended.set(id, isDone && !hasEnd);
  }

  async unsuspend(user: TestUser, ask: Ending): Promise<void> {
    if (this.#suspended.get(user.id) === true && (await this.#logIn(user)) === 'in')
      this.#blame(user, 'has logged in while suspended');
    const answer = await ask();
    if (answer?.status !== 201 && answer?.status !== 409) return;
    this.#suspended.delete(user.id);
    await this.enter(user, 'after the end of the suspension');
  }

  /** Logs somebody in who is not suspended. */
  async enter(user: TestUser, when: string): Promise<void> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const outcome = await this.#logIn(user);
      if (outcome === 'in') return;
      if (outcome === 'suspended') {
        this.#blame(user, `cannot log in ${when}`);
        this.#suspended.set(user.id, false);
        return;
      }
      await pause(BETWEEN_TRIES);
    }
  }

  /** Ends an account. */
  async erase(user: TestUser, ask: Ending): Promise<void> {
    this.erased.set(user.id, this.erased.get(user.id) ?? Date.now());
    const answer = await this.end(user.id, ask);
    // Its session is over where the answer to an earlier one was lost.
    if (answer && (answer.status < 300 || answer.status === 401)) this.#gone.add(user.id);
  }

  /** Finds out what became of those of whom the people do not know it: answers may have been lost. */
  async recover(users: readonly TestUser[]): Promise<void> {
    for (const user of users.filter(({ id }) => !this.isShutOut(id))) {
      const answer = await new Api(this.#url(), user.token).get('/users/me').catch(() => undefined);
      if (answer?.status !== 401) continue;
      if (this.erased.has(user.id)) this.#gone.add(user.id);
      else if ((await this.#logIn(user)) === 'suspended') this.#suspended.set(user.id, false);
    }
  }

  async #logIn(user: TestUser): Promise<'in' | 'suspended' | undefined> {
    const { email, password } = user;
    const answer = await new Api(this.#url())
      .post<{ access_token?: string; code?: string; type?: string }>('/login', { email, password })
      .catch(() => undefined);
    if (answer?.status === 200) {
      Object.assign(user, { token: answer.body.access_token });
      return 'in';
    }
    return answer?.status === 403 ? 'suspended' : undefined;
  }

  async #closing(end: SessionEnd): Promise<void> {
    const watch = new Stopwatch();
    while (watch.ran < CLOSED_WITHIN) await pause(50, undefined, { ref: false });
    await allCome();
    end.over = Date.now();
  }

  #blame({ id }: TestUser, what: string): void {
    this.violations.push({ rule: 'suspended', what: `user ${id} ${what}` });
  }
}
