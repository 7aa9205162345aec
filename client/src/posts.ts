import type { Caller } from './caller.ts';
import type { NewPost, PostAnswer, PostEdit, Sort } from './contract.ts';
import { type PagePlace, placeOf } from './page-place.ts';

export interface ListOptions {
  /** 1 to 100; the server's default is 10. */
  limit?: number;
  sort?: Sort;
  /** Text that title or content contains, in any case. */
  search?: string;
  /** `next` of the page before. */
  cursor?: string | undefined;
  /** `home`: only your own posts and those of users whom you follow. */
  view?: 'all' | 'home';
  ownerId?: number;
  /** Only posts with this tag, with or without `#`. */
  tag?: string;
  /** `true`: only published posts; `false`: only your own drafts; absent: both. */
  published?: boolean;
  signal?: AbortSignal;
}

export interface PostPage extends PagePlace {
  posts: PostAnswer[];
}

export interface CreateOptions {
  /** One is made for each call unless you give your own, to continue with a call that an earlier process began. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

export interface EditOptions {
  /** Change it only if it is still at this version; `version_mismatch` otherwise. The post object suffices. */
  ifMatch?: number | { version: number };
  signal?: AbortSignal;
}

export interface ListRepliesOptions {
  /** 1 to 100; the server's default is 10. */
  limit?: number;
  sort?: 'old' | 'new' | 'top';
  /** `next` of the page before. */
  cursor?: string | undefined;
  signal?: AbortSignal;
}

/** A reply in its thread. `depth` 1 answers the post that was asked about. */
export type ThreadReply =
  | (PostAnswer & { depth: number; deleted: false })
  /** One that was deleted, and has living replies: without text and owner. */
  | (Omit<PostAnswer, 'owner' | 'owner_id'> & { depth: number; deleted: true; owner: null; owner_id: null });

export interface ReplyPage extends PagePlace {
  replies: ThreadReply[];
}

export class Posts {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** One page of the feed. */
  async list(options: ListOptions = {}): Promise<PostPage> {
    const { limit, sort, search, cursor, view, ownerId, tag, published, signal } = options;
    const { body, headers } = await this.#caller.call<PostAnswer[]>({
      method: 'GET',
      path: '/posts',
      query: {
        limit,
        sort,
        search: search === '' ? undefined : search,
        cursor,
        view,
        owner_id: ownerId,
        tag,
        published,
      },
      repeatable: true,
      signal,
    });
    return { posts: body, ...placeOf(headers) };
  }

  /** @throws {TidingsError} `not_found` */
  get(id: number, { signal }: { signal?: AbortSignal } = {}): Promise<PostAnswer> {
    return this.#caller.body({ method: 'GET', path: `/posts/${id}`, repeatable: true, signal });
  }

  /** Publishes a post or keeps a draft. However often the network fails on the way, it is written once. */
  create(
    post: NewPost,
    { idempotencyKey = newIdempotencyKey(), signal }: CreateOptions = {},
  ): Promise<PostAnswer> {
    return this.#caller.body({
      method: 'POST',
      path: '/posts',
      body: post,
      headers: { 'Idempotency-Key': idempotencyKey },
      repeatable: true,
      signal,
    });
  }

  /** The thread below a post or a reply, flat. @throws {TidingsError} `not_found` */
  async replies(id: number, { limit, sort, cursor, signal }: ListRepliesOptions = {}): Promise<ReplyPage> {
    const { body, headers } = await this.#caller.call<ThreadReply[]>({
      method: 'GET',
      path: `/posts/${id}/replies`,
      query: { limit, sort, cursor },
      repeatable: true,
      signal,
    });
    return { replies: body, ...placeOf(headers) };
  }

  /**
   * Answers a post or a reply. However often the network fails on the way, it is written once.
   * @throws {TidingsError} `not_found`; `forbidden` between two of whom one blocks the other; `conflict`: it was
   *   deleted, or is too deep in its thread
   */
  reply(
    id: number,
    content: string,
    { idempotencyKey = newIdempotencyKey(), signal }: CreateOptions = {},
  ): Promise<PostAnswer> {
    return this.#caller.body({
      method: 'POST',
      path: `/posts/${id}/replies`,
      body: { content },
      headers: { 'Idempotency-Key': idempotencyKey },
      repeatable: true,
      signal,
    });
  }

  /** Changes parts of a post; `published` publishes a draft or withdraws a post. */
  update(id: number, edit: PostEdit, options: EditOptions = {}): Promise<PostAnswer> {
    return this.#caller.body(editing('PATCH', id, edit, options));
  }

  /** Writes a post again as a whole. */
  replace(id: number, post: NewPost, options: EditOptions = {}): Promise<PostAnswer> {
    return this.#caller.body(editing('PUT', id, post, options));
  }

  /** Deletes a post with its votes. @throws {TidingsError} `not_found`, `forbidden`, `version_mismatch` */
  async remove(id: number, { ifMatch, signal }: EditOptions = {}): Promise<void> {
    await this.#caller.call({
      method: 'DELETE',
      path: `/posts/${id}`,
      headers: ifMatchOf(ifMatch),
      repeatable: true,
      goneIsDone: true,
      signal,
    });
  }
}

function editing(method: 'PATCH' | 'PUT', id: number, body: object, { ifMatch, signal }: EditOptions) {
  return {
    method,
    path: `/posts/${id}`,
    body,
    headers: ifMatchOf(ifMatch),
    // A second try with a condition would fail on what the first has done.
    repeatable: ifMatch === undefined,
    signal,
  };
}

function ifMatchOf(ifMatch: EditOptions['ifMatch']) {
  const version = typeof ifMatch === 'object' ? ifMatch.version : ifMatch;
  return { 'If-Match': version === undefined ? undefined : `"${version}"` };
}

/** `crypto.randomUUID` is kept from pages that are served over plain HTTP; this is not. */
function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
