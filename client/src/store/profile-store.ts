import type { Client } from '../client.ts';
import type { LiveEvent, PublicUser } from '../contract.ts';
import { jittered } from '../delay.ts';
import { Emitter } from '../emitter.ts';
import { Feed } from '../feed/feed.ts';
import type { FeedStatus } from '../feed/status.ts';
import { TidingsError } from '../tidings-error.ts';
import type { StoreFeed } from './live-source.ts';
import { relationChange } from './relation-news.ts';

export type ProfileStoreOptions = ({ id: number } | { username: string }) & {
  /** A feed that others use too; or the options of one for this store alone. */
  feed?: StoreFeed;
};

/** The state to render. A new object after each change. */
export interface ProfileState {
  /** Undefined before it is loaded, and if there is no such user. */
  user: PublicUser | undefined;
  /** Whether there is no such user, or not any more. */
  missing: boolean;
  loading: boolean;
  /**
   * Why the user could not be read. It is tried again when the feed is live again, by `load`, and about every three seconds
   * if it is temporary.
   */
  error: TidingsError | undefined;
  status: FeedStatus;
}

type Found = Pick<ProfileState, 'user' | 'missing' | 'error'>;

/** After a read the next one begins at most so much later: a burst of events is a few reads. Milliseconds. */
const TOGETHER = 500;
/** Until a user who could not be read is read again, unless the server asks for more. Milliseconds. */
const RETRY = 3000;

const NOBODY: Found = { user: undefined, missing: false, error: undefined };

/**
 * A user as the signed-in one sees them: who they are, their counts, and whether one follows, blocks or mutes them, on
 * whatever device that was changed. An answer about a user has no position in the stream, so the user is read again after
 * each event that is about them; a read that began after an event has what it tells.
 */
export class ProfileStore {
  /** Vue makes no reactive proxy of it, which could not reach its private members. @internal */
  readonly __v_skip = true;
  readonly #client: Client;
  readonly #options: ProfileStoreOptions;
  readonly #changes = new Emitter<{ change: () => void }>();
  #feed: Feed | undefined;
  #ends: (() => void)[] = [];
  #found = NOBODY;
  #request: AbortController | undefined;
  /** The time between two reads. */
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Something has changed since the last read began, or that has failed. */
  #again = false;
  /** Whether the feed was live before the last read began, and so has told of everything since. */
  #sure = false;
  #closed = false;
  #state: ProfileState | undefined;
  readonly #unloaded: ProfileState;

  constructor(client: Client, options: ProfileStoreOptions) {
    this.#client = client;
    this.#options = options;
    this.#unloaded = this.state;
  }

  get state(): ProfileState {
    this.#state ??= {
      ...this.#found,
      loading: this.#request !== undefined,
      status: this.#closed
        ? { state: 'ended', reason: 'closed' }
        : (this.#feed?.status ?? { state: 'connecting' }),
    };
    return this.#state;
  }

  /** The `state`, as a function that is bound: with `subscribe` what `useSyncExternalStore` takes. */
  readonly getSnapshot = (): ProfileState => this.state;

  /** The state before anything was loaded: what a server renders, and a browser that takes that over. Bound. */
  readonly getServerSnapshot = (): ProfileState => this.#unloaded;

  /** Listens for a new `state`. Bound. @returns removes the listener */
  readonly subscribe = (listener: () => void): (() => void) => this.#changes.on('change', listener);

  /** Loads the user, and follows what changes from then on; later, loads the user again. Also after `close`. */
  readonly load = async (): Promise<void> => {
    this.#closed = false;
    this.#follow();
    this.#endPause();
    if (this.#request) this.#again = true;
    else await this.#read();
  };

  /** Ends it, and what is on its way is ignored. A feed that is shared stays. `load` opens it again. */
  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends.splice(0)) end();
    if (!(this.#options.feed instanceof Feed)) this.#feed?.close();
    this.#request?.abort();
    this.#request = undefined;
    this.#endPause();
    this.#again = false;
    this.#change();
  };

  #follow(): void {
    if (this.#ends.length > 0 && this.#feed?.status.state !== 'ended') return;
    for (const end of this.#ends.splice(0)) end();
    const { feed: given } = this.#options;
    const feed = given instanceof Feed ? given : this.#client.feed({ tallies: 'none', ...given, topics: [] });
    this.#feed = feed;
    this.#ends = [
      feed.on('event', (event) => {
        if (!this.#isAbout(event)) return;
        this.#again = true;
        if (!this.#request && this.#pause === undefined) void this.#read();
      }),
      feed.on('reset', ({ reason }) => {
        if (reason === 'epoch_changed') {
          // The id is another user's, and what is on its way may be of the database before.
          this.#request?.abort();
          this.#request = undefined;
          this.#found = NOBODY;
        }
        void this.load();
      }),
      feed.on('ready', () => {
        // Where the feed began after the read, nobody has told what happened in between.
        if (!this.#sure || this.#found.error) void this.load();
      }),
      feed.on('status', () => this.#change()),
    ];
  }

  async #read(): Promise<void> {
    const request = (this.#request = new AbortController());
    this.#again = false;
    this.#sure = this.#feed?.position !== undefined;
    this.#change();
    try {
      const user = await this.#ask(request.signal);
      if (request === this.#request) this.#found = { user, missing: false, error: undefined };
    } catch (error) {
      if (request === this.#request) this.#found = failed(error, this.#found.user);
    } finally {
      if (request === this.#request) {
        this.#request = undefined;
        this.#change();
        if (!this.#closed) this.#takePause();
      }
    }
  }

  #takePause(): void {
    const { error } = this.#found;
    if (error?.temporary) this.#again = true;
    const wait = error?.temporary
      ? Math.max(jittered(RETRY), (error.retryAfter ?? 0) * 1000)
      : jittered(TOGETHER);
    this.#endPause();
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#again && !this.#request) void this.#read();
    }, wait);
  }

  #endPause(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
  }

  /** Once the user is known, by id: a name may be changed. */
  #ask(signal: AbortSignal): Promise<PublicUser> {
    const { users } = this.#client;
    const known = this.#found.user ?? this.#options;
    return 'id' in known ? users.get(known.id, { signal }) : users.byName(known.username, { signal });
  }

  #isAbout(event: LiveEvent): boolean {
    const change = relationChange(event);
    const { user } = this.#found;
    return change !== undefined && (!user || [change.by?.id, change.of.id].includes(user.id));
  }

  #change(): void {
    this.#state = undefined;
    this.#changes.emit('change');
  }
}

/** A user to render who stays true by themselves. Nothing is loaded before `load`. */
export function createProfileStore(client: Client, options: ProfileStoreOptions): ProfileStore {
  return new ProfileStore(client, options);
}

/** What is known of a user is shown on if they could not be read again. */
function failed(error: unknown, user: PublicUser | undefined): Found {
  if (!(error instanceof TidingsError)) throw error;
  const missing = error.code === 'not_found' || error.code === 'invalid';
  return missing ? { user: undefined, missing, error: undefined } : { user, missing, error };
}
