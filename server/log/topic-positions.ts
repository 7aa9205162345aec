import { authorOf } from '../topics/topic.ts';
import { PUBLIC } from '../topics/audience.ts';
import type { LogEntry } from './reader.ts';

/** Topics and authors that are remembered, each. */
const MAX_TOPICS = 200_000;

/**
 * The newest event of each topic and of each author, as far as this node has passed them: one who has only quiet topics
 * has missed nothing, and that is known without a look at the log, also where the log does not reach back any more.
 * Bounded: of what is forgotten it is only known that it is not newer than `floor`.
 */
export class TopicPositions {
  /** The one with the oldest event first. */
  readonly #topics = new Map<string, number>();
  readonly #authors = new Map<number, number>();
  readonly #most: number;
  #floor: number;

  /** @param floor the position from which on all events will be noted, in order */
  constructor(floor: number, most = MAX_TOPICS) {
    this.#floor = floor;
    this.#most = most;
  }

  /** The position after which it knows all events. */
  get floor(): number {
    return this.#floor;
  }

  note({ seq, audience, topics, authorId, departure }: LogEntry): void {
    if (authorId !== null) this.#move(this.#authors, authorId, seq);
    if (audience !== PUBLIC) this.#move(this.#topics, audience, seq);
    else {
      for (const topic of topics) this.#noteTopic(topic, seq);
      for (const topic of departure?.topics ?? []) this.#noteTopic(topic, seq);
    }
  }

  /** The newest event of a topic; nothing newer than `floor` if it is not known. */
  lastOf(topic: string): number {
    return this.#topics.get(topic) ?? 0;
  }

  /** The newest event of an author, in whatever topic. */
  lastOfAuthor(authorId: number): number {
    return this.#authors.get(authorId) ?? 0;
  }

  #noteTopic(topic: string, seq: number): void {
    const authorId = authorOf(topic);
    if (authorId === undefined) this.#move(this.#topics, topic, seq);
    else this.#move(this.#authors, authorId, seq);
  }

  #move<K>(positions: Map<K, number>, key: K, seq: number): void {
    positions.delete(key);
    positions.set(key, seq);
    if (positions.size <= this.#most) return;
    const [oldest] = positions;
    if (!oldest) return;
    positions.delete(oldest[0]);
    this.#floor = Math.max(this.#floor, oldest[1]);
  }
}
