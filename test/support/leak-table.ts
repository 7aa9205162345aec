import type { FeedEventName } from '../../server/contract.ts';

/**
 * What somebody can be to the author of an event. `other`: the second person of the relation that it tells of, or who
 * reports the author. `moderator`: a stranger who moderates.
 */
export const viewers = [
  'owner',
  'follower',
  'stranger',
  'blocked',
  'blocker',
  'muter',
  'other',
  'moderator',
] as const;
export type Viewer = (typeof viewers)[number];

/** Everything public, or one topic that may carry an event: of the author, of a thread of theirs, of a tag in it. */
export const topics = ['public', 'feed', 'home', 'author', 'thread', 'tag'] as const;
export type Topic = (typeof topics)[number];

/** `named`: only where the author is subscribed to by name. */
type Right = 'allowed' | 'named' | 'hidden';
type Row = Readonly<Record<Viewer, Right>>;

const ofPost: Row = {
  owner: 'allowed',
  follower: 'allowed',
  stranger: 'allowed',
  blocked: 'hidden',
  blocker: 'hidden',
  muter: 'named',
  other: 'allowed',
  moderator: 'allowed',
};

const nobody: Row = {
  owner: 'hidden',
  follower: 'hidden',
  stranger: 'hidden',
  blocked: 'hidden',
  blocker: 'hidden',
  muter: 'hidden',
  other: 'hidden',
  moderator: 'hidden',
};

const ofBoth: Row = { ...nobody, owner: 'allowed', other: 'allowed' };
const ofOne: Row = { ...nobody, owner: 'allowed' };
const ofModerators: Row = { ...nobody, moderator: 'allowed' };

/** Who may receive each event. Written down here, and nowhere taken from what the service says of its events. */
export const leakTable: Readonly<Record<FeedEventName, Row>> = {
  'post:created': ofPost,
  'post:updated': ofPost,
  'post:deleted': ofPost,
  'follow:added': ofBoth,
  'follow:removed': ofBoth,
  'block:added': ofOne,
  'block:removed': ofOne,
  'mute:added': ofOne,
  'mute:removed': ofOne,
  'notification:added': ofBoth,
  'notification:removed': ofBoth,
  'notification:read': ofOne,
  'notifications:state': ofBoth,
  'role:changed': ofOne,
  'report:added': ofModerators,
  'report:resolved': ofModerators,
};

/** Who receives a departure in place of an event, if subscribed to nothing but a topic that it leaves. */
const departures: Partial<Record<FeedEventName, Readonly<Record<Viewer, 'departure' | 'hidden'>>>> = {
  'post:updated': {
    owner: 'departure',
    follower: 'departure',
    stranger: 'departure',
    blocked: 'hidden',
    blocker: 'hidden',
    muter: 'hidden',
    other: 'departure',
    moderator: 'departure',
  },
};

/** In whose `home` posts of the author stand, if nothing hides them. */
const atHome: readonly Viewer[] = ['owner', 'follower', 'muter'];

/** An event that a test provokes. */
export interface ProvokedEvent {
  name: FeedEventName;
  /** Over what it comes; of a private one nothing, as it comes over everything. */
  topics?: readonly Topic[];
  leaves?: Topic;
  /** Of a private one: for whom it is. */
  to?: Viewer;
  /** What only those may have in their hands who receive it whole. */
  words?: string;
  /** A later one takes its text away, so that it is redacted in replays; `log`: in those out of the log alone. */
  superseded?: true | 'log';
}

/** As what a viewer with one subscription receives an event; undefined: not at all. */
export function formFor(
  { name, topics: carriers = [], leaves, to }: ProvokedEvent,
  viewer: Viewer,
  topic: Topic,
): 'event' | 'departure' | undefined {
  const right = leakTable[name][viewer];
  if (to !== undefined) return to === viewer && right === 'allowed' ? 'event' : undefined;
  const isCarried = carriers.includes(topic) && (topic !== 'home' || atHome.includes(viewer));
  if (isCarried)
    return right === 'allowed' || (right === 'named' && topic === 'author') ? 'event' : undefined;
  return leaves === topic && departures[name]?.[viewer] === 'departure' ? 'departure' : undefined;
}

/** Events without a row, and rows without an event. */
export function unmatchedRows(declared: readonly string[]): string[] {
  const rows = Object.keys(leakTable);
  return [
    ...declared.filter((name) => !rows.includes(name)).map((name) => `${name} has no row`),
    ...rows.filter((name) => !declared.includes(name)).map((name) => `${name} is no event`),
  ];
}
