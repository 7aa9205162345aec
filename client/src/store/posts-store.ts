import type { Client } from '../client.ts';
import type { LiveEvent, PostAnswer, PostEdit, VoteView } from '../contract.ts';
import { Emitter } from '../emitter.ts';
import type { PagePlace } from '../page-place.ts';
import type { EditOptions } from '../posts.ts';
import { CastVotes } from './cast-votes.ts';
import {
  emptyView,
  type FeedView,
  remembering,
  voteDelayed,
  voteSettled,
  voting,
  withTally,
  withVote,
  withWishes,
} from './feed-view.ts';
import type { LivePagesOptions, PagesState } from './live-pages.ts';
import { PagedStore } from './paged-store.ts';
import { StoreAuthors } from './store-authors.ts';
import type { DelayedVote } from './vote-wishes.ts';

/** What has changed of the list since it was read, by an event or by the user's own doing. */
export interface FeedNews {
  /** The post came into the list, or among those that wait; its text changed; it went. */
  name: LiveEvent['name'];
  /** After the change; of a deletion, before it. */
  post: PostAnswer;
}

export interface FeedStoreListeners {
  news: (news: FeedNews) => void;
  /** The result of a vote that was cast or taken back here, for the user's other windows: `voted`. */
  vote: (vote: VoteView) => void;
  /** A vote could not be sent, since the server cannot be reached. It is sent again by itself. */
  voteDelayed: (vote: DelayedVote) => void;
}

/** What the stores of posts have in common: a view of them, the user's votes, and whom the user has muted. */
export abstract class PostsStore<State extends PagesState, Page extends PagePlace> extends PagedStore<
  State,
  Page
> {
  /** @internal */
  protected readonly client: Client;
  /** @internal */
  protected readonly emitter = new Emitter<FeedStoreListeners>();
  /** @internal */
  protected readonly authors: StoreAuthors | undefined;
  /** Posts that the user has removed here and whose event is still to come: a page may have been read before. @internal */
  protected readonly removed = new Set<number>();
  /** @internal */
  protected view: FeedView = emptyView;
  /** How many posts have come on top since the list was read. @internal */
  protected growth = 0;
  /** Grows when the database or the user is another one: what was asked of the one before is no news. @internal */
  protected life = 0;
  readonly #votes: CastVotes;

  protected constructor(
    options: Pick<LivePagesOptions<Page>, 'client' | 'feed' | 'topic' | 'read' | 'onPage' | 'onEvent'>,
  ) {
    super({
      ...options,
      onTally: (tally) => this.set(withTally(this.view, tally)),
      onReset: () => this.removed.clear(),
      onForget: () => {
        this.life += 1;
        this.#votes.forget();
        this.removed.clear();
      },
      onReplaced: (seq) => this.set({ ...emptyView, asOf: seq }),
      onLive: () => this.#votes.live(),
    });
    this.client = options.client;
    this.#votes = new CastVotes(options.client, {
      wanted: (wish) => this.set(voting(this.view, wish)),
      settled: (postId, answer) => {
        this.set(voteSettled(this.view, postId, answer));
        if (answer) this.emitter.emit('vote', answer);
      },
      delayed: (vote) => {
        this.set(voteDelayed(this.view, vote.post_id));
        this.emitter.emit('voteDelayed', vote);
      },
    });
    this.authors = StoreAuthors.of(options.client, options.feed, {
      pages: this.pages,
      life: () => this.life,
      asOf: () => this.view.asOf,
      fold: (event) => options.onEvent(event, true),
    });
  }

  override readonly load = (): Promise<void> => {
    this.#votes.open();
    return this.pages.load();
  };

  /**
   * Votes, or takes the vote back. It shows at once; if the server refuses, it is taken back. Of quick clicks the last
   * one counts. While the server cannot be reached it waits (`voteDelayed` of the post) and is sent again by itself, for as
   * long as the client is used by this user; at most 100 votes wait.
   * @throws {TidingsError} it was refused; `aborted`: it waited, and the user or the database is another one now
   */
  readonly vote = (postId: number, up: boolean): Promise<void> => this.#votes.cast(postId, up);

  /** What became of a vote of the user in another window: the feed has the number of votes, but not whose they are. */
  readonly voted = (vote: VoteView): void => {
    this.#votes.remember(vote);
    this.set(withVote(this.view, vote));
  };

  /** Changes a post. What is a reply has no title. @throws {TidingsError} */
  readonly edit = (postId: number, edit: PostEdit, options?: EditOptions): Promise<PostAnswer> =>
    this.own(this.client.posts.update(postId, edit, options));

  override readonly close = (): void => {
    this.#votes.close();
    this.removed.clear();
    this.pages.close();
  };

  /** Shows a post of the user as the server has answered with it, if it is of the list. @internal @throws {TidingsError} */
  protected abstract own(asked: Promise<PostAnswer>): Promise<PostAnswer>;

  /**
   * After a page and the events since: what was known of its posts before, and the votes without an answer.
   * @internal
   */
  protected complete(before: FeedView): void {
    const view = remembering(
      this.view,
      before,
      (postId) => this.pages.tally(postId),
      (postId) => this.#votes.known(postId),
    );
    this.view = withWishes(view, this.#votes.wishes);
  }

  /** @internal */
  protected set(view: FeedView): void {
    if (view === this.view) return;
    this.view = view;
    this.pages.changed();
  }
}
