import type { postEvent } from './event-names.ts';

/** Who wrote a post, as everyone may see it. */
export interface OwnerView {
  id: number;
  username: string;
}

/** A post as everyone may see it: nothing in it depends on who looks. Times are RFC 3339 in UTC. */
export interface PostView {
  id: number;
  /** `null` of a reply. */
  title: string | null;
  content: string;
  published: boolean;
  created_at: string;
  /**
   * The first publication: withdrawing a post and publishing it again changes nothing here. `null` for a draft that has never
   * been public. Absent only from events that were written before the service knew it.
   */
  published_at?: string | null;
  /** When its author last changed it: later than `published_at` only where that was after the first publication. */
  updated_at: string;
  /** Grows by one with each edit, and where a moderator restores the post or closes its thread. */
  version: number;
  owner_id: number;
  owner: OwnerView;
  /**
   * The post that this one answers, and the one that its thread began with; `null` of a post that is no reply. This and
   * the next ones are absent only from events that were written before the service had replies.
   */
  parent_id?: number | null;
  root_id?: number | null;
  /** The tags in its text. */
  tags?: string[];
  /** Who is mentioned in its text, each by the name that stands there. */
  mentions?: OwnerView[];
  /** Only `true`: a moderator has closed its thread, and nobody may reply in it. */
  locked?: true;
  /** Equals the number of vote rows at `rev`. */
  votes: number;
  /** Equals the number of replies below it, at whatever depth, that have not been deleted. */
  replies?: number;
  /**
   * Grows with each change of `votes` or `replies`; of two tallies of one post the one with the higher `rev` is the
   * newer.
   */
  rev: number;
  /**
   * Only `true`: a later event of the post, numbered before this was sent, took its text and its owner's name out of
   * here. That event follows: it has the current post, or its deletion. Do not show this one.
   */
  redacted?: true;
}

/** A post that others can no longer see. */
export interface RemovedPost {
  id: number;
  /**
   * Of a reply, the post that its thread began with. `null` of any other: its thread goes with it. Absent where the post
   * alone has left a topic, as that of a tag which an edit took out of it, and from events that were written before the
   * service had replies.
   */
  root_id?: number | null;
  /** Who removed it, if not its owner. */
  by?: 'moderator';
}

type Names = typeof postEvent;

/** The events of posts, with their payloads. */
export type PostEvents = Record<Names['added'] | Names['changed'], PostView> &
  Record<Names['removed'], RemovedPost>;
