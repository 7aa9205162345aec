import { setTimeout as pause } from 'node:timers/promises';
import type { PostView } from '../server/contract.ts';
import type { Account } from './accounts.ts';
import { inLanes } from './lanes.ts';
import { call } from './rest.ts';
import { stamp } from './shared-stream.ts';

/** What was acknowledged. */
export interface Written {
  postIds: number[];
  /** Votes by post as the acknowledged writes leave them. */
  votes: Map<number, number>;
  castVotes: number;
  /** Writes that were refused or failed, by reason. */
  failed: Record<string, number>;
}

/** Votes in progress at once. */
const TOGETHER = 64;

/**
 * Writes posts and votes over REST, evenly over a span of time. Each pair of account and post is voted on and taken back
 * in turns, one after the other, so that what should come of it is known.
 */
export class Writers {
  readonly #url: string;
  readonly #accounts: readonly Account[];
  readonly written: Written = { postIds: [], votes: new Map(), castVotes: 0, failed: {} };
  /** Posts with a vote whose fate is unknown: their count is not held against the server. */
  readonly uncertain = new Set<number>();
  /** `account:post` that has voted, and that is being written for just now. */
  readonly #up = new Set<string>();
  readonly #busy = new Set<string>();
  #turn = 0;

  constructor(url: string, accounts: readonly Account[]) {
    this.#url = url;
    this.#accounts = accounts;
  }

  async write(posts: number, votes: number, seconds: number, onWritten: () => void): Promise<void> {
    const began = performance.now();
    const span = seconds * 1000;
    if (posts > 0) await this.#writePost(0).then(onWritten);
    await Promise.all([
      inLanes(posts - 1, 1, (number) => this.#writePost(number + 1).then(onWritten), {
        began,
        every: span / (posts - 1),
      }),
      // Without a post there is nothing to vote on; its failure is told.
      this.written.postIds.length > 0 &&
        inLanes(votes, TOGETHER, () => this.#vote().then(onWritten), { began, every: span / votes }),
    ]);
    const left = began + span - performance.now();
    if (left > 0) await pause(left);
  }

  async #writePost(number: number): Promise<void> {
    const account = this.#accounts[number % this.#accounts.length];
    try {
      const content = stamp.write(performance.timeOrigin + performance.now());
      const { body } = await call(this.#url, 'POST', '/posts', {
        ...(account ? { token: account.token } : {}),
        body: { title: `Load test post ${number + 1}`, content },
      });
      const { id } = body as PostView;
      this.written.postIds.push(id);
      this.written.votes.set(id, 0);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #vote(): Promise<void> {
    const { votes } = this.written;
    const { account, postId, pair } = await this.#takePair();
    const up = !this.#up.has(pair);
    try {
      await call(this.#url, up ? 'PUT' : 'DELETE', `/posts/${postId}/vote`, { token: account.token });
      if (up) this.#up.add(pair);
      else this.#up.delete(pair);
      votes.set(postId, (votes.get(postId) ?? 0) + (up ? 1 : -1));
      this.written.castVotes += 1;
    } catch (error) {
      this.uncertain.add(postId);
      this.#fail(error);
    } finally {
      this.#busy.delete(pair);
    }
  }

  /**
   * The next pair, round after round over all there are by now, that no other vote is in progress for; it is busy from
   * here on.
   */
  async #takePair(): Promise<{ account: Account; postId: number; pair: string }> {
    const { postIds } = this.written;
    for (;;) {
      const turn = this.#turn;
      this.#turn += 1;
      const postId = postIds[turn % postIds.length];
      const account = this.#accounts[Math.floor(turn / postIds.length) % this.#accounts.length];
      const pair = `${account?.id ?? 0}:${postId ?? 0}`;
      if (account && postId !== undefined && !this.#busy.has(pair)) {
        this.#busy.add(pair);
        return { account, postId, pair };
      }
      await pause(1);
    }
  }

  #fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.written.failed[reason] = (this.written.failed[reason] ?? 0) + 1;
  }
}
