import type { Caller } from './caller.ts';
import type { NewPost, PostAnswer, PostEdit, ReplyAnswer, Report, Sort, ThreadSort } from './contract.ts';
import { type PageOptions, type PagePlace, placeOf } from './page-place.ts';

export interface ListOptions extends PageOptions {
  sort?: Sort;
  /** Text that title or content contains, in any case. */
  search?: string;
  /** `home`: only your own posts and those of users whom you follow. */
  view?: 'all' | 'home';
  ownerId?: number;
  /** Only posts with this tag, with or without `#`. */
  tag?: string;
  /** `true`: only published posts; `false`: only your own drafts; absent: both. */
  published?: boolean;
}

export interface PostPage extends PagePlace {
  posts: PostAnswer[];
}

export interface ReplyListOptions extends PageOptions {
  sort?: ThreadSort;
}

export interface ReplyPage extends PagePlace {
  replies: ReplyAnswer[];
  /** Whether `replies` of its posts may count replies whose events come after its position. */
  isAhead: boolean;
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

export class Posts {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** One page of the feed. Without a session where the operator lets everyone read. */
  readonly list = async (options: ListOptions = {}): Promise<PostPage> => {
    const { limit, sort, search, cursor, view, ownerId, tag, published, signal } = options;
    const { body, headers } = await this.#caller.callAsAnyone<PostAnswer[]>({
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
  };

  /** @throws {TidingsError} `not_found` */
  readonly get = async (id: number, { signal }: { signal?: AbortSignal } = {}): Promise<PostAnswer> => {
    const request = { method: 'GET', path: `/posts/${id}`, repeatable: true, signal } as const;
    return (await this.#caller.callAsAnyone<PostAnswer>(request)).body;
  };

  /** Publishes a post or keeps a draft. However often the network fails on the way, it is written once. */
  readonly create = (post: NewPost, options?: CreateOptions): Promise<PostAnswer> =>
    this.#write('/posts', post, options);

  /**
   * Answers a post or another reply, once like `create`.
   * @throws {TidingsError} `not_found`; `forbidden`: one of the two blocks the other; `conflict`: it has been deleted, or
   *   the thread is too deep
   */
  readonly reply = (
    postId: number,
    reply: { content: string },
    options?: CreateOptions,
  ): Promise<PostAnswer> => this.#write(`/posts/${postId}/replies`, reply, options);

  /** The replies below a post or a reply, at whatever depth. @throws {TidingsError} `not_found` */
  readonly replies = async (
    postId: number,
    { limit, sort, cursor, signal }: ReplyListOptions = {},
  ): Promise<ReplyPage> => {
    const { body, headers } = await this.#caller.callAsAnyone<ReplyAnswer[]>({
      method: 'GET',
      path: `/posts/${postId}/replies`,
      query: { limit, sort, cursor },
      repeatable: true,
      signal,
    });
    return { replies: body, isAhead: headers.get('x-feed-ahead') === 'true', ...placeOf(headers) };
  };

  /** Changes parts of a post; `published` publishes a draft or withdraws a post. */
  readonly update = (id: number, edit: PostEdit, options: EditOptions = {}): Promise<PostAnswer> =>
    this.#caller.body(editing('PATCH', id, edit, options));

  /** Writes a post again as a whole. */
  readonly replace = (id: number, post: NewPost, options: EditOptions = {}): Promise<PostAnswer> =>
    this.#caller.body(editing('PUT', id, post, options));

  /** Deletes a post with its votes. @throws {TidingsError} `not_found`, `forbidden`, `version_mismatch` */
  readonly remove = async (id: number, { ifMatch, signal }: EditOptions = {}): Promise<void> => {
    await this.#caller.call({
      method: 'DELETE',
      path: `/posts/${id}`,
      headers: ifMatchOf(ifMatch),
      repeatable: true,
      goneIsDone: true,
      signal,
    });
  };

  /**
   * Reports a post to the moderators. A second report takes the place of the first.
   * @throws {TidingsError} `not_found`, `invalid`: it is your own
   */
  readonly report = async (
    id: number,
    report: Report,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> => {
    await this.#caller.call({
      method: 'PUT',
      path: `/posts/${id}/report`,
      body: report,
      repeatable: true,
      signal,
    });
  };

  #write(
    path: string,
    body: object,
    { idempotencyKey = newIdempotencyKey(), signal }: CreateOptions = {},
  ): Promise<PostAnswer> {
    return this.#caller.body({
      method: 'POST',
      path,
      body,
      headers: { 'Idempotency-Key': idempotencyKey },
      repeatable: true,
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
