import type { PostAnswer, PostView, Tally, VoteView } from '../contract.ts';
import { postEvent } from '../event-names.ts';
import { type PostEvent, tellsPost } from '../post-events.ts';
import type { VoteWish } from './vote-wishes.ts';

/**
 * A list and the events after it, folded into what is to be seen. Everything here is a pure function from one view to
 * the next; what has not changed stays the same object, so a renderer can tell by identity.
 */

/** A post with what has to be remembered of it. */
export interface Entry {
  readonly post: PostAnswer;
  /** Events up to here are in it already. */
  readonly asOf: number;
  /** The `rev` up to which `voted` is known: a newer tally has the number of votes, but not whose they are. */
  readonly votedAt: number;
  /** The seq of the event that it came into the list with; absent if a page or the user's own doing brought it. */
  readonly arrivedAt?: number;
  /** Whether an event or the user's own doing brought it, after the list was read. */
  readonly live?: true;
  readonly vote?: Vote;
}

/** A vote that is on its way. */
interface Vote {
  /** What the user wants by now. */
  readonly up: boolean;
  /** What was sent, or is to be sent next, and has no answer yet. */
  readonly sent: boolean;
  /** Of the tally that it was sent upon: a newer one is taken to hold what was sent. */
  readonly rev: number;
  readonly delayed?: true;
}

export interface FeedView {
  /** Events up to here are in the first page. */
  readonly asOf: number;
  readonly entries: ReadonlyMap<number, Entry>;
  /** The posts that are shown. */
  readonly order: readonly number[];
  /** New posts that wait to be shown, newest first: `MAX_PENDING` at most, the others are left out. */
  readonly pending: readonly number[];
  /** New posts whose text a later event took out before this one was sent, with its seq: that event brings the text. */
  readonly awaited: ReadonlyMap<number, number>;
}

/** How new posts come into a view. */
export interface Arrival {
  /** Whether a post belongs into this list at all. */
  accepts: (post: PostView) => boolean;
  /** Whether one of the list that has changed is still of it: `accepts` alone says nothing of posts that are there. */
  stays?: (post: PostView) => boolean;
  /** Whether one that was not in the list has come into it by a change, and not on a page that is still to be loaded. */
  joins?: (post: PostView) => boolean;
  /** Whether a new post is shown at once, at the top; otherwise it waits. */
  atOnce: boolean;
}

/** More new posts than this do not wait one by one: the list is read again when they are wanted. */
export const MAX_PENDING = 100;

export const emptyView: FeedView = {
  asOf: 0,
  entries: new Map(),
  order: [],
  pending: [],
  awaited: new Map(),
};

/** The first page. */
export function firstPage(posts: readonly PostAnswer[], asOf: number): FeedView {
  const entries = new Map(posts.map((post) => [post.id, answered(post, asOf)]));
  return { ...emptyView, asOf, entries, order: posts.map(({ id }) => id) };
}

/** A further page below. What has already come into the list stays where it is. */
export function nextPage(view: FeedView, posts: readonly PostAnswer[], asOf: number): FeedView {
  const added = posts.filter(({ id }) => !view.entries.has(id));
  const entries = new Map(view.entries);
  for (const post of added) entries.set(post.id, answered(post, asOf));
  return { ...view, entries, order: [...view.order, ...added.map(({ id }) => id)] };
}

/**
 * A view that has just been read, with what was known before: tallies and the user's own votes that came while the page was on
 * its way are told once, and the page may have been read before them. Votes that are on their way stay so.
 * @param tallyOf the newest tally heard of a post, whether or not the view before had it
 * @param voteOf the newest answer about the user's own vote on a post, likewise
 */
export function remembering(
  view: FeedView,
  before: FeedView,
  tallyOf: (postId: number) => Tally | undefined,
  voteOf: (postId: number) => VoteView | undefined = () => undefined,
): FeedView {
  const entries = new Map<number, Entry>();
  for (const [id, read] of view.entries) {
    let entry = read;
    const known = before.entries.get(id);
    if (known && known !== read) {
      entry = withVoted(withNewerTally(entry, known.post), known.post.voted, known.votedAt);
      if (known.vote) entry = { ...entry, vote: known.vote };
      if (known.live) entry = { ...entry, live: true };
    }
    const vote = voteOf(id);
    if (vote) entry = withNewerTally(withVoted(entry, vote.voted, vote.rev), vote);
    entries.set(id, withNewerTally(entry, tallyOf(id)));
  }
  return { ...view, entries };
}

export function withEvent(view: FeedView, event: PostEvent, arrival: Arrival): FeedView {
  const { seq } = event;
  const entry = view.entries.get(event.data.id);
  if (!tellsPost(event)) {
    const rest = awaiting(view, event.data.id, undefined);
    return entry && entry.asOf < seq ? without(rest, event.data.id) : rest;
  }
  const { data } = event;
  const isNew = event.name === postEvent.added && seq > view.asOf;
  if (data.redacted) {
    // A later event says how the post is; of a new one the place is known already.
    return !entry && isNew ? awaiting(view, data.id, seq) : view;
  }
  if (entry) {
    if (entry.asOf >= seq) return view;
    if (arrival.stays?.(data) === false) return without(view, data.id);
    return withEntry(view, { ...entry, post: merged(entry.post, data), asOf: seq });
  }
  const joins = seq > view.asOf && arrival.joins?.(data) === true;
  const arrivedAt = isNew || joins ? seq : view.awaited.get(data.id);
  const rest = awaiting(view, data.id, undefined);
  if (arrivedAt === undefined || !arrival.accepts(data)) return rest;
  const { published_at = data.created_at } = data;
  if (!arrival.atOnce && rest.pending.length >= MAX_PENDING) return rest;
  const post = { ...data, published_at, voted: false };
  return arrived(rest, { post, asOf: seq, votedAt: -1, arrivedAt, live: true }, arrival.atOnce);
}

/** @param seq of the event that told of the post without its text; undefined if it is waited for no longer */
function awaiting(view: FeedView, postId: number, seq: number | undefined): FeedView {
  if (seq === undefined && !view.awaited.has(postId)) return view;
  const awaited = new Map(view.awaited);
  if (seq === undefined) awaited.delete(postId);
  else awaited.set(postId, seq);
  return { ...view, awaited };
}

/** A post from the response to the user's own change: shown at once. */
export function withOwn(view: FeedView, post: PostAnswer): FeedView {
  const entry = view.entries.get(post.id);
  if (!entry) return arrived(view, { ...answered(post, view.asOf), live: true }, true);
  const shown = view.pending.includes(post.id) ? revealed(view, [post.id]) : view;
  return withAnswer(shown, post);
}

/** A post of the list from a response, which also has the user's own vote. */
export function withAnswer(view: FeedView, post: PostAnswer): FeedView {
  const entry = view.entries.get(post.id);
  if (!entry) return view;
  return withEntry(view, withVoted({ ...entry, post: merged(entry.post, post) }, post.voted, post.rev));
}

export function without(view: FeedView, postId: number): FeedView {
  if (!view.entries.has(postId)) return view;
  const entries = new Map(view.entries);
  entries.delete(postId);
  const others = (ids: readonly number[]) => ids.filter((id) => id !== postId);
  return { ...view, entries, order: others(view.order), pending: others(view.pending) };
}

export function withTally(view: FeedView, tally: Tally): FeedView {
  const entry = view.entries.get(tally.post_id);
  if (!entry || entry.post.rev >= tally.rev) return view;
  return withEntry(view, withNewerTally(entry, tally));
}

/** The user's vote, before the server has said anything. */
export function voting(view: FeedView, { post_id, up, sending }: VoteWish): FeedView {
  const entry = view.entries.get(post_id);
  if (!entry) return view;
  const { rev } = entry.post;
  const vote = sending === undefined ? { up, sent: up, rev } : { rev, ...entry.vote, up, sent: sending };
  return withEntry(view, { ...entry, vote });
}

/** The user's vote could not be sent, and waits until the server can be reached. */
export function voteDelayed(view: FeedView, postId: number): FeedView {
  const entry = view.entries.get(postId);
  if (!entry?.vote || entry.vote.delayed) return view;
  return withEntry(view, { ...entry, vote: { ...entry.vote, delayed: true } });
}

/** A view that has just been read, with the user's votes that have no answer yet. */
export function withWishes(view: FeedView, wishes: Iterable<VoteWish & { delayed: boolean }>): FeedView {
  let all = view;
  for (const { delayed, ...wish } of wishes) {
    if (!all.entries.get(wish.post_id)?.vote) all = voting(all, wish);
    if (delayed) all = voteDelayed(all, wish.post_id);
  }
  return all;
}

/** What became of the vote: the server's answer, or undefined if there is none and all is as it was. */
export function voteSettled(view: FeedView, postId: number, answer: VoteView | undefined): FeedView {
  const entry = view.entries.get(postId);
  if (!entry) return view;
  const { vote: _vote, ...settled } = entry;
  const rest = withEntry(view, settled);
  return answer ? withVote(rest, answer) : rest;
}

/** An answer about the user's own vote, given here or in another window. */
export function withVote(view: FeedView, { post_id, voted, votes, rev }: VoteView): FeedView {
  const entry = view.entries.get(post_id);
  if (!entry) return view;
  return withEntry(view, withNewerTally(withVoted(entry, voted, rev), { votes, rev }));
}

/** Puts posts that wait into the list: new ones at the top, and one that is published again where it was. */
export function revealed(view: FeedView, postIds: readonly number[] = view.pending): FeedView {
  const pending = view.pending.filter((id) => !postIds.includes(id));
  const order = [...view.order];
  for (const id of [...postIds].reverse()) {
    const post = view.entries.get(id)?.post;
    order.splice(post ? placeIn(view, order, post) : 0, 0, id);
  }
  return { ...view, order, pending };
}

/** Where a post belongs among these, newest publication first, as in `sort=new`. */
function placeIn(view: FeedView, order: readonly number[], post: PostAnswer): number {
  const moment = ({ published_at, created_at }: PostAnswer) => published_at ?? created_at;
  const at = order.findIndex((id) => {
    const other = view.entries.get(id)?.post;
    if (!other) return false;
    const [a, b] = [moment(other), moment(post)];
    return a < b || (a === b && other.id < post.id);
  });
  return at < 0 ? order.length : at;
}

/** Whether a post is of the pages that are loaded, by its time. */
export function reachedBy(view: FeedView, { published_at, ...post }: PostView): boolean {
  const at = placeIn(view, view.order, {
    ...post,
    published_at: published_at ?? post.created_at,
    voted: false,
  });
  return at < view.order.length;
}

/** The posts of one author, as they were told of before an event. */
export function byAuthor({ entries }: FeedView, ownerId: number, seq: number): number[] {
  return [...entries].flatMap(([id, { post, asOf }]) =>
    post.owner_id === ownerId && asOf < seq ? [id] : [],
  );
}

function arrived(view: FeedView, entry: Entry, atOnce: boolean): FeedView {
  const { id } = entry.post;
  const entries = new Map(view.entries).set(id, entry);
  const { arrivedAt } = entry;
  /** First among those that wait, but under what arrived after it: its text may have come later than its place. */
  const placed = (ids: readonly number[]) => {
    const above = (other: number) =>
      arrivedAt !== undefined && (view.entries.get(other)?.arrivedAt ?? 0) > arrivedAt;
    const at = ids.findIndex((other) => !above(other));
    return at < 0 ? [...ids, id] : [...ids.slice(0, at), id, ...ids.slice(at)];
  };
  const told = { ...view, entries, pending: placed(view.pending) };
  return atOnce ? revealed(told, [id]) : told;
}

export function withEntry(view: FeedView, entry: Entry): FeedView {
  if (view.entries.get(entry.post.id) === entry) return view;
  return { ...view, entries: new Map(view.entries).set(entry.post.id, entry) };
}

/** A post from a response, which also has the user's own vote. */
function answered(post: PostAnswer, asOf: number): Entry {
  return { post, asOf, votedAt: post.rev };
}

function withNewerTally(
  entry: Entry,
  tally: (Pick<Tally, 'votes' | 'rev'> & Partial<Tally>) | undefined,
): Entry {
  if (!tally || tally.rev <= entry.post.rev) return entry;
  const { votes, replies = entry.post.replies ?? 0, rev } = tally;
  return { ...entry, post: { ...entry.post, votes, replies, rev } };
}

/** Of two answers about the user's own vote the one of the higher `rev`. */
function withVoted(entry: Entry, voted: boolean, rev: number): Entry {
  const known = rev < entry.votedAt || (rev === entry.votedAt && voted === entry.post.voted);
  return known ? entry : { ...entry, post: { ...entry.post, voted }, votedAt: rev };
}

/** Of two states of one post the newer text and, apart from it, the newer tally. */
function merged(known: PostAnswer, given: PostView): PostAnswer {
  const text = given.version >= known.version ? given : known;
  const { votes, replies = 0, rev } = given.rev >= known.rev ? given : known;
  const { published_at = known.published_at } = text;
  return { ...text, published_at, votes, replies, rev, voted: known.voted };
}

/** A post as it is to be shown. */
export interface ShownPost extends PostAnswer {
  /** Whether a vote of the user is on its way; `votes` and `voted` are as if it had arrived. */
  voting: boolean;
  /** Whether that vote could not be sent yet, since the server cannot be reached: it is sent again by itself. */
  voteDelayed: boolean;
  /** Whether it came after the list was read: by an event, or since the user has just written it. */
  live: boolean;
}

const shownAs = new WeakMap<Entry, ShownPost>();

/** The form to show of an entry: the same object each time, so that what has not changed is not drawn again. */
export function shown(entry: Entry): ShownPost {
  let post = shownAs.get(entry);
  if (!post) shownAs.set(entry, (post = present(entry)));
  return post;
}

/**
 * Counts a vote that is on its way once: as soon as a newer tally has come, that is taken to hold what was sent. Of a tally that
 * came with an answer it is known.
 */
function present({ post, votedAt, vote, ...entry }: Entry): ShownPost {
  const live = entry.live === true;
  if (!vote) return { ...post, voting: false, voteDelayed: false, live };
  const isCounted = post.rev <= Math.max(vote.rev, votedAt) ? post.voted : vote.sent;
  const votes = Math.max(0, post.votes + Number(vote.up) - Number(isCounted));
  return { ...post, votes, voted: vote.up, voting: true, voteDelayed: vote.delayed === true, live };
}
