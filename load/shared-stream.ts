import type { FeedEventName, PostView, Tally } from '../server/contract.ts';
import { PublicChain } from './public-chain.ts';

/** An event of the feed as the first client of this process was handed it. */
export interface SeenEvent {
  seq: number;
  name: FeedEventName;
  postId: number;
  /** When its post was written, and when the load tool asked for it; milliseconds since 1970, undefined if it is not ours. */
  writtenAt: number | undefined;
  askedAt: number | undefined;
  /** As it came, without its position: a client is told of other events too, which are for its user alone. */
  bytes: Buffer;
}

/** Tallies of one message, with the place of each post in the clients' lists. */
export interface SeenTallies {
  slots: number[];
  revs: number[];
}

/** How the text of a post tells when it was asked for, so that the delay to a client can be measured on one clock. */
export const stamp = {
  write: (askedAt: number) => `Written by the load test, asked for at ${askedAt.toFixed(3)}`,
  read: (content: string): number | undefined => {
    const found = /asked for at (\d+\.\d+)$/.exec(content)?.[1];
    return found === undefined ? undefined : Number(found);
  },
};

/**
 * What all clients of one process must see alike. A message is parsed for the first client that is handed it; for the
 * others its bytes are compared with those, which is cheaper and checks more.
 */
export class SharedStream {
  readonly events = new Map<number, SeenEvent>();
  /** Two clients were told different things under one number, or of one post under one `rev`. */
  readonly contradictions: string[] = [];
  readonly #slots = new Map<number, number>();
  /** By slot: what `votes` was at each `rev`. */
  readonly #votes: Map<number, number>[] = [];
  readonly #hasTopics: boolean;
  readonly #chain = new PublicChain();
  #newest: { bytes: Buffer; tallies: SeenTallies } | undefined;

  /** @param hasTopics whether the clients have topics: then each has a chain of its own */
  constructor(hasTopics = false) {
    this.#hasTopics = hasTopics;
  }

  /** @param bytes `["post:created",{…},{"seq":7,"prev":6}]` */
  event(bytes: Buffer): SeenEvent {
    const { seq, prev, at } = positionAtEnd(bytes);
    const known = this.events.get(seq);
    if (!this.#hasTopics && !this.#chain.admits(seq, prev))
      this.#contradict(`event ${seq} says that ${prev} is before it`);
    const told = bytes.subarray(0, at);
    if (known?.bytes.equals(told)) return known;
    const [name, data] = JSON.parse(bytes.toString()) as [FeedEventName, Partial<PostView> & { id: number }];
    // The text of a post that was deleted meanwhile is gone from a replay.
    if (known && data.redacted !== true) this.#contradict(`event ${seq} differs between clients`);
    const seen: SeenEvent = {
      seq,
      name,
      postId: data.id,
      writtenAt: data.created_at === undefined ? undefined : Date.parse(data.created_at),
      askedAt: data.content === undefined ? undefined : stamp.read(data.content),
      bytes: Buffer.from(told),
    };
    if (!known) this.events.set(seq, seen);
    return seen;
  }

  /** @param bytes `["votes",[{…}]]` */
  tallies(bytes: Buffer): SeenTallies {
    if (this.#newest?.bytes.equals(bytes)) return this.#newest.tallies;
    const [, told] = JSON.parse(bytes.toString()) as ['votes', Tally[]];
    const tallies: SeenTallies = { slots: [], revs: [] };
    for (const { post_id, votes, rev } of told) {
      const slot = this.slotOf(post_id);
      const byRev = this.#votes[slot];
      const known = byRev?.get(rev);
      if (known === undefined) byRev?.set(rev, votes);
      else if (known !== votes)
        this.#contradict(`post ${post_id} has ${known} and ${votes} votes at rev ${rev}`);
      tallies.slots.push(slot);
      tallies.revs.push(rev);
    }
    this.#newest = { bytes: Buffer.from(bytes), tallies };
    return tallies;
  }

  /** The place of a post in the clients' lists of revs. */
  slotOf(postId: number): number {
    let slot = this.#slots.get(postId);
    if (slot === undefined) {
      slot = this.#slots.size;
      this.#slots.set(postId, slot);
      this.#votes.push(new Map());
    }
    return slot;
  }

  /** Holds a tally as the database has it against what was told under its `rev`. */
  confirm({ post_id, votes, rev }: Tally): void {
    const told = this.#votes[this.slotOf(post_id)]?.get(rev);
    if (told !== undefined && told !== votes)
      this.#contradict(
        `post ${post_id} was told with ${told} votes at rev ${rev}, the database has ${votes}`,
      );
  }

  #contradict(what: string): void {
    if (this.contradictions.length < 100) this.contradictions.push(what);
  }
}

/** Reads the numbers at the end of `…,{"seq":123,"prev":122}]`, and where they begin, without parsing what comes before. */
export function positionAtEnd(bytes: Buffer): { seq: number; prev: number; at: number } {
  const prev = numberBefore(bytes, bytes.length - 2, '"prev":');
  const seq = prev && numberBefore(bytes, prev.at - 1, '{"seq":');
  if (!seq) throw new Error('an event without a seq and a prev');
  return { seq: seq.value, prev: prev.value, at: seq.at };
}

/** The number that ends at an index, and where its name begins; undefined if another name or none stands before it. */
function numberBefore(bytes: Buffer, end: number, name: string): { value: number; at: number } | undefined {
  let value = 0;
  let weight = 1;
  let at = end - 1;
  for (; at >= 0; at -= 1) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    value += digit * weight;
    weight *= 10;
  }
  const nameAt = at + 1 - name.length;
  if (weight === 1 || nameAt < 0 || bytes.toString('latin1', nameAt, at + 1) !== name) return undefined;
  return { value, at: nameAt };
}
