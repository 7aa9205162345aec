import type { Caller } from './caller.ts';
import type { PublicUser, RelationEntry, RelationView, Report } from './contract.ts';
import { type PageOptions, type PagePlace, placeOf } from './page-place.ts';

export type RelationListOptions = PageOptions;

/** Users, the newest first, each with the time since when. */
export interface RelationPage extends PagePlace {
  users: RelationEntry[];
}

interface CallOptions {
  signal?: AbortSignal;
}

type Kind = 'follow' | 'block' | 'mute';

/** The other users, and what they are to the user. Saying a thing twice is no error. */
export class Users {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** What everyone may see of a user, and what they are to you. @throws {TidingsError} `not_found` */
  readonly get = async (id: number, { signal }: CallOptions = {}): Promise<PublicUser> => {
    const request = { method: 'GET', path: `/users/${id}`, repeatable: true, signal } as const;
    return (await this.#caller.callAsAnyone<PublicUser>(request)).body;
  };

  /** The same of the user with a name, in whatever case. @throws {TidingsError} `not_found`, `invalid`: nobody can have it */
  readonly byName = async (username: string, { signal }: CallOptions = {}): Promise<PublicUser> => {
    const path = `/users/by-name/${encodeURIComponent(username)}`;
    const request = { method: 'GET', path, repeatable: true, signal } as const;
    return (await this.#caller.callAsAnyone<PublicUser>(request)).body;
  };

  /**
   * Follows a user. Posts of theirs after `seq` of the answer come in the topic `home`.
   * @throws {TidingsError} `not_found`; `forbidden` between two of whom one blocks the other; `conflict`: you follow
   *   too many
   */
  readonly follow = (id: number, options?: CallOptions): Promise<RelationView> =>
    this.#set('PUT', id, 'follow', options);

  /** @throws {TidingsError} `not_found` */
  readonly unfollow = (id: number, options?: CallOptions): Promise<RelationView> =>
    this.#set('DELETE', id, 'follow', options);

  /**
   * Blocks a user, and follows between you end. The answer takes a second: by then nothing of them is sent to you any
   * more.
   * @throws {TidingsError} `not_found`, `conflict`: you block too many
   */
  readonly block = (id: number, options?: CallOptions): Promise<RelationView> =>
    this.#set('PUT', id, 'block', options);

  /** @throws {TidingsError} `not_found` */
  readonly unblock = (id: number, options?: CallOptions): Promise<RelationView> =>
    this.#set('DELETE', id, 'block', options);

  /**
   * Hides a user's posts from you, except where you ask for this user. @throws {TidingsError} `not_found`, `conflict`
   */
  readonly mute = (id: number, options?: CallOptions): Promise<RelationView> =>
    this.#set('PUT', id, 'mute', options);

  /** @throws {TidingsError} `not_found` */
  readonly unmute = (id: number, options?: CallOptions): Promise<RelationView> =>
    this.#set('DELETE', id, 'mute', options);

  /** Who follows a user. @throws {TidingsError} `not_found` */
  readonly followers = (id: number, options?: RelationListOptions): Promise<RelationPage> =>
    this.#list(`/users/${id}/followers`, options);

  /** Whom a user follows. @throws {TidingsError} `not_found` */
  readonly following = (id: number, options?: RelationListOptions): Promise<RelationPage> =>
    this.#list(`/users/${id}/following`, options);

  /** Whom you block. Nobody else can read it. */
  readonly blocks = (options?: RelationListOptions): Promise<RelationPage> =>
    this.#list('/users/me/blocks', options);

  /** Whom you mute. Nobody else can read it. */
  readonly mutes = (options?: RelationListOptions): Promise<RelationPage> =>
    this.#list('/users/me/mutes', options);

  /**
   * Reports a user to the moderators. A second report takes the place of the first.
   * @throws {TidingsError} `not_found`, `invalid`: it is yourself
   */
  readonly report = async (id: number, report: Report, { signal }: CallOptions = {}): Promise<void> => {
    await this.#caller.call({
      method: 'PUT',
      path: `/users/${id}/report`,
      body: report,
      repeatable: true,
      signal,
    });
  };

  #set(
    method: 'PUT' | 'DELETE',
    id: number,
    kind: Kind,
    { signal }: CallOptions = {},
  ): Promise<RelationView> {
    return this.#caller.body({ method, path: `/users/${id}/${kind}`, repeatable: true, signal });
  }

  async #list(path: string, { limit, cursor, signal }: RelationListOptions = {}): Promise<RelationPage> {
    const { body, headers } = await this.#caller.get<RelationEntry[]>(path, { limit, cursor }, signal);
    return { users: body, ...placeOf(headers) };
  }
}
