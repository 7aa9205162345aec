import { withDeadline } from '../../client/src/deadline.ts';
import type { FeedEventName, PostView, Tally } from '../../server/contract.ts';
import type { Outcome, Operation, Write } from './history.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';

export interface WriterOptions {
  name: string;
  userId: number;
  token: string;
  /** The nodes' addresses, asked for each request: it goes to one of them. */
  urls: () => readonly string[];
  recorder: Recorder;
  random: Random;
  /** Milliseconds between two writes, on average. */
  pace: number;
  /** The share of creations that are repeated at once, to whichever nodes. */
  nervous: number;
  /** What else is written for those who listen to topics. */
  topical?: {
    /** The post that is replied to. */
    thread: number;
    /** Some of these stand in a text. */
    tags: readonly string[];
  };
}

/** After so long without an answer the outcome is unknown. Milliseconds. */
const TIME_LIMIT = 5000;
/** How long a creation is repeated under its key. Milliseconds. */
const PERSISTENCE = 30_000;
/** Posts that a writer continues working on. */
const OWN_POSTS = 60;

const weights: Record<Exclude<Operation, 'reply'>, number> = {
  create: 30,
  draft: 3,
  edit: 24,
  publish: 5,
  withdraw: 4,
  delete: 7,
  vote: 18,
  unvote: 9,
};

/** The share of what is created that is a reply, where there is a thread. */
const REPLIES = 0.3;
/** How often a tag stands in a text. */
const TAGGED = 0.3;

interface OwnPost {
  id: number;
  version: number;
  published: boolean;
  isReply: boolean;
}

interface Answer {
  outcome: Outcome;
  status: number | undefined;
  body: unknown;
}

interface Request {
  method: string;
  path: string;
  body?: object;
  headers?: Record<string, string>;
}

/**
 * Somebody who writes over REST, one thing after the other, and puts down what became of it. A creation that was not answered
 * is said again under the same idempotency key. A post (or a vote) whose outcome is unknown is left alone from then on: a
 * frozen node may still do the write, at any time.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #own: OwnPost[] = [];
  /** Post → whether our vote is there; 'unknown' ones are left alone. */
  readonly #votes = new Map<number, boolean | 'unknown'>();
  /** The milliseconds that each answered write took, with the time of its answer. */
  readonly latencies: { at: number; took: number }[] = [];
  #serial = 0;
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  get userId(): number {
    return this.#options.userId;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the write in hand. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** One write of a kind, now. */
  async write(op: Operation = this.#options.random.weighted(weights)): Promise<void> {
    const { topical, random } = this.#options;
    if (op === 'create' && topical && random.chance(REPLIES)) await this.#create('reply');
    else if (op === 'create' || op === 'draft' || op === 'reply') await this.#create(op);
    else if (op === 'vote' || op === 'unvote') await this.#vote(op === 'vote');
    else await this.#change(op);
  }

  async #run(): Promise<void> {
    const { random, pace } = this.#options;
    while (!this.#stopped) {
      await this.write();
      await sleep(random.between(0.2, 1.8) * pace);
    }
  }

  async #create(op: 'create' | 'draft' | 'reply'): Promise<void> {
    const { random, topical } = this.#options;
    const key = this.#key();
    const published = op !== 'draft';
    const request: Request = {
      method: 'POST',
      ...(op === 'reply'
        ? { path: `/posts/${topical?.thread ?? 0}/replies`, body: { content: `${key} ${this.#text()}` } }
        : { path: '/posts', body: { title: `${key} ${op}`, content: this.#text(), published } }),
      headers: { 'idempotency-key': key },
    };
    const begin = Date.now();
    let answer: Answer;
    let doubt = false;
    for (;;) {
      const twice = random.chance(this.#options.nervous) ? this.#send(request) : undefined;
      answer = await this.#send(request);
      const other = await twice;
      if (answer.outcome !== 'ok' && other?.outcome === 'ok') answer = other;
      doubt ||= answer.outcome === 'unknown' || other?.outcome === 'unknown';
      if (answer.status !== undefined && answer.outcome !== 'unknown') break;
      if (Date.now() - begin > PERSISTENCE) break;
      await sleep(random.between(100, 500));
    }
    if (answer.outcome !== 'ok' && doubt) answer.outcome = 'unknown';
    const post = answer.outcome === 'ok' ? (answer.body as PostView) : undefined;
    this.#record(key, op, begin, answer, {
      postId: post?.id,
      version: post?.version ?? 1,
      event: published ? 'post:created' : undefined,
    });
    if (!post) return;
    this.#own.push({ id: post.id, version: post.version, published, isReply: op === 'reply' });
    if (this.#own.length > OWN_POSTS) this.#own.shift();
  }

  async #change(op: 'edit' | 'publish' | 'withdraw' | 'delete'): Promise<void> {
    const { random } = this.#options;
    const fitting = this.#own.filter(
      (post) => op === 'edit' || op === 'delete' || (!post.isReply && post.published === (op === 'withdraw')),
    );
    if (fitting.length === 0) return this.#create('create');
    const post = random.pick(fitting);
    const key = this.#key();
    const begin = Date.now();
    const answer = await this.#send({
      method: op === 'delete' ? 'DELETE' : 'PATCH',
      path: `/posts/${post.id}`,
      ...(op === 'edit'
        ? {
            body: post.isReply
              ? { content: `${key} ${this.#text()}` }
              : { title: `${key} edit`, content: this.#text() },
          }
        : {}),
      ...(op === 'publish' || op === 'withdraw' ? { body: { published: op === 'publish' } } : {}),
      headers: op === 'edit' && random.chance(0.2) ? { 'if-match': `"${post.version}.0.0"` } : {},
    });
    const version = op === 'delete' ? undefined : post.version + 1;
    this.#record(key, op, begin, answer, { postId: post.id, version, event: eventOf(op, post.published) });
    if (answer.outcome === 'ok' && op !== 'delete') {
      post.version += 1;
      if (op !== 'edit') post.published = op === 'publish';
    } else if (answer.outcome !== 'refused' || answer.status !== undefined) {
      this.#own.splice(this.#own.indexOf(post), 1);
    }
    return undefined;
  }

  async #vote(up: boolean): Promise<void> {
    const { random, recorder } = this.#options;
    const candidates = [...recorder.ballot].filter((id) => (this.#votes.get(id) ?? false) === !up);
    // The newest are voted for most, as in life.
    const postId = random.chance(0.5)
      ? candidates.at(-1 - random.below(10))
      : candidates[random.below(candidates.length)];
    if (postId === undefined) return;
    const key = this.#key();
    const begin = Date.now();
    const answer = await this.#send(
      random.chance(0.5)
        ? { method: 'POST', path: '/vote', body: { post_id: postId, dir: up ? 1 : 0 } }
        : { method: up ? 'PUT' : 'DELETE', path: `/posts/${postId}/vote` },
    );
    this.#record(key, up ? 'vote' : 'unvote', begin, answer, {
      postId,
      version: undefined,
      event: undefined,
    });
    if (answer.outcome === 'ok') {
      this.#votes.set(postId, up);
      recorder.tally(answer.body as Tally, this.#options.name);
    } else if (answer.outcome === 'unknown') this.#votes.set(postId, 'unknown');
  }

  #record(
    key: string,
    op: Operation,
    begin: number,
    { outcome, status }: Answer,
    what: { postId: number | undefined; version: number | undefined; event: FeedEventName | undefined },
  ): void {
    const write: Write = {
      key,
      op,
      userId: this.#options.userId,
      begin,
      end: Date.now(),
      outcome,
      status,
      ...what,
    };
    this.#options.recorder.writes.push(write);
    if (outcome === 'ok') this.latencies.push({ at: write.end, took: write.end - begin });
  }

  async #send({ method, path, body, headers }: Request): Promise<Answer> {
    const { urls, token, random, recorder } = this.#options;
    try {
      const [response, answered] = await withDeadline(TIME_LIMIT, undefined, async (signal) => {
        const got = await fetch(random.pick(urls()) + path, {
          method,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal,
        });
        return [got, await got.text()] as const;
      });
      const { status } = response;
      if (status === 503 && !response.headers.has('retry-after')) recorder.hintless += 1;
      return {
        status,
        outcome: status < 300 ? 'ok' : status < 500 ? 'refused' : 'unknown',
        body: answered === '' ? undefined : JSON.parse(answered),
      };
    } catch (error) {
      const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
      // Nobody listened: it has not left.
      return {
        outcome: code === 'ECONNREFUSED' ? 'refused' : 'unknown',
        status: undefined,
        body: undefined,
      };
    }
  }

  /** Mostly short, now and then long enough that a page of the log is bounded by its bytes. */
  #text(): string {
    const { random, topical } = this.#options;
    const words = 'word '.repeat(random.chance(0.03) ? random.below(1500) : random.below(30));
    const tags = topical?.tags.filter(() => random.chance(TAGGED)).map((tag) => `#${tag} `) ?? [];
    return words + tags.join('');
  }

  #key(): string {
    this.#serial += 1;
    return `${this.#options.name}-${this.#serial}`;
  }
}

function eventOf(
  op: 'edit' | 'publish' | 'withdraw' | 'delete',
  published: boolean,
): FeedEventName | undefined {
  if (op === 'publish') return 'post:created';
  if (!published) return undefined;
  return op === 'edit' ? 'post:updated' : 'post:deleted';
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
