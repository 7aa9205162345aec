import { grantRole } from '../../server/moderation/roles.ts';
import type { PostAnswer } from '../../server/posts/present.ts';
import type { ProvokedEvent, Topic, Viewer } from './leak-table.ts';
import { writePost } from './posts.ts';
import type { Answer, TestUser, World } from './world.ts';

/** The author, everyone who is something to the author, and where their words will stand. */
export interface Cast {
  people: Readonly<Record<Viewer, TestUser>>;
  tag: string;
  /** Still a draft, so that its thread can be subscribed to before there is an event of it. */
  draft: number;
}

/** Something that the author, or the other one of a relation, does; and the events that it must leave in the log, in order. */
export interface Act {
  what: string;
  run: () => Promise<unknown>;
  events: readonly ProvokedEvent[];
  /** It takes the text out of an event before it. */
  takesOut?: true;
}

async function sure<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

let casts = 0;

export async function gatherCast(world: World): Promise<Cast> {
  casts += 1;
  const [owner, follower, stranger, blocked, blocker, muter, other, moderator] = await Promise.all(
    Array.from({ length: 8 }, () => world.user()),
  );
  if (!owner || !follower || !stranger || !blocked || !blocker || !muter || !other || !moderator)
    throw new Error('nobody');
  await world.ctx.db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', ''));
  await sure(follower.put(`/users/${owner.id}/follow`));
  await sure(muter.put(`/users/${owner.id}/follow`));
  await sure(muter.put(`/users/${owner.id}/mute`));
  await sure(owner.put(`/users/${blocked.id}/block`));
  await sure(blocker.put(`/users/${owner.id}/block`));
  const { id: draft } = await writePost(owner, { published: false });
  return {
    people: { owner, follower, stranger, blocked, blocker, muter, other, moderator },
    tag: `leak${casts}`,
    draft,
  };
}

const everywhere: readonly Topic[] = ['public', 'feed', 'home', 'author', 'thread', 'tag'];
const without = (...left: Topic[]) => everywhere.filter((topic) => !left.includes(topic));

/** What happens to posts and replies of the author. */
export function actsOnPosts({ people: { owner, moderator }, tag, draft }: Cast): Act[] {
  const ids = new Map<string, number>([['draft', draft]]);
  const path = (name: string) => `/posts/${ids.get(name) ?? 0}`;
  /** No other text has them. */
  const words = (what: string) => `words-of-${tag}-${what}-end`;
  const text = (what: string) => `${words(what)} #${tag}`;
  const keep = async (name: string, written: Promise<{ id: number }>) => ids.set(name, (await written).id);
  const reply = (name: string, to: string) =>
    keep(name, sure(owner.post<PostAnswer>(`${path(to)}/replies`, { content: text(name) })));
  const ofReply = without('feed', 'home');
  const moderated = (action: 'remove' | 'restore', name: string) => {
    const reason = `reason-to-${action}-of-${tag}-end`;
    return {
      run: () => sure(moderator.post('/moderation/actions', { action, post_id: ids.get(name), reason })),
      notice: [
        { name: 'notification:added', to: 'owner', words: reason },
        { name: 'notifications:state', to: 'owner' },
      ] satisfies ProvokedEvent[],
    };
  };
  const removal = moderated('remove', 'removed');
  const restoration = moderated('restore', 'removed');
  return [
    {
      what: 'publishes a draft',
      run: () => sure(owner.patch(path('draft'), { content: text('published'), published: true })),
      events: [{ name: 'post:created', topics: everywhere, words: words('published'), superseded: true }],
    },
    {
      what: 'edits it',
      takesOut: true,
      run: () => sure(owner.patch(path('draft'), { content: text('edited') })),
      events: [{ name: 'post:updated', topics: everywhere, words: words('edited'), superseded: true }],
    },
    {
      what: 'replies to it',
      run: () => reply('reply', 'draft'),
      events: [{ name: 'post:created', topics: ofReply, words: words('reply'), superseded: true }],
    },
    {
      what: 'edits the reply',
      takesOut: true,
      run: () => sure(owner.patch(path('reply'), { content: text('edited-reply') })),
      events: [{ name: 'post:updated', topics: ofReply, words: words('edited-reply'), superseded: true }],
    },
    {
      what: 'edits the tag away',
      takesOut: true,
      run: () => sure(owner.patch(path('draft'), { content: words('untagged') })),
      events: [
        {
          name: 'post:updated',
          topics: without('tag'),
          leaves: 'tag',
          words: words('untagged'),
          superseded: true,
        },
      ],
    },
    {
      what: 'edits the tag of the reply away',
      takesOut: true,
      run: () => sure(owner.patch(path('reply'), { content: words('untagged-reply') })),
      events: [
        {
          name: 'post:updated',
          topics: ['public', 'author', 'thread'],
          leaves: 'tag',
          words: words('untagged-reply'),
          superseded: true,
        },
      ],
    },
    {
      what: 'deletes the reply',
      takesOut: true,
      run: () => sure(owner.delete(path('reply'))),
      events: [{ name: 'post:deleted', topics: ['public', 'author', 'thread'] }],
    },
    {
      what: 'withdraws the post',
      takesOut: true,
      run: () => sure(owner.patch(path('draft'), { published: false })),
      events: [{ name: 'post:deleted', topics: without('tag') }],
    },
    {
      what: 'publishes it again',
      run: () => sure(owner.patch(path('draft'), { content: text('again'), published: true })),
      events: [{ name: 'post:created', topics: everywhere, words: words('again'), superseded: true }],
    },
    {
      what: 'replies again',
      run: () => reply('second-reply', 'draft'),
      events: [{ name: 'post:created', topics: ofReply, words: words('second-reply'), superseded: true }],
    },
    {
      what: 'takes another name',
      takesOut: true,
      run: () => sure(owner.patch('/users/me', { username: `renamed${owner.id}` })),
      events: [
        { name: 'post:updated', topics: everywhere, words: words('again') },
        { name: 'post:updated', topics: ofReply, words: words('second-reply') },
      ],
    },
    {
      what: 'writes another post',
      run: () => keep('another', writePost(owner, { content: text('another') })),
      events: [
        { name: 'post:created', topics: without('thread'), words: words('another'), superseded: true },
      ],
    },
    {
      what: 'replies to that',
      run: () => reply('another-reply', 'another'),
      events: [
        {
          name: 'post:created',
          topics: ['public', 'author', 'tag'],
          words: words('another-reply'),
          superseded: true,
        },
      ],
    },
    {
      what: 'deletes it with its thread',
      takesOut: true,
      run: () => sure(owner.delete(path('another'))),
      events: [{ name: 'post:deleted', topics: without('thread') }],
    },
    {
      what: 'writes a post that stays',
      run: () => keep('staying', writePost(owner, { content: text('staying') })),
      events: [{ name: 'post:created', topics: without('thread'), words: words('staying') }],
    },
    {
      what: 'writes a post that a moderator does not like',
      run: () => keep('removed', writePost(owner, { content: text('removed') })),
      events: [
        { name: 'post:created', topics: without('thread'), words: words('removed'), superseded: true },
      ],
    },
    {
      what: 'has it removed',
      takesOut: true,
      run: removal.run,
      events: [...removal.notice, { name: 'post:deleted', topics: without('thread') }],
    },
    {
      what: 'has it back',
      run: restoration.run,
      events: [
        ...restoration.notice,
        { name: 'post:created', topics: without('thread'), words: words('removed'), superseded: true },
      ],
    },
    {
      what: 'edits what came back',
      takesOut: true,
      run: () => sure(owner.patch(path('removed'), { content: text('mended') })),
      events: [{ name: 'post:updated', topics: without('thread'), words: words('mended') }],
    },
  ];
}

const follow = (name: 'follow:added' | 'follow:removed'): ProvokedEvent[][] => [
  [
    { name, to: 'other' },
    { name, to: 'owner' },
  ],
  [
    { name, to: 'owner' },
    { name, to: 'other' },
  ],
];

/** @param superseded it is taken away later */
const notified = (to: Viewer, superseded?: true): ProvokedEvent[] => [
  { name: 'notification:added', to, ...(superseded && { superseded }) },
  { name: 'notifications:state', to },
];
const noLonger = (to: Viewer): ProvokedEvent[] => [
  { name: 'notification:removed', to },
  { name: 'notifications:state', to },
];

/** What happens between the author and the other one, and between the author and one who leaves. */
export function actsOnRelations(world: World, { people: { owner, other, moderator }, tag }: Cast): Act[] {
  const warning = `warning-of-${tag}-end`;
  const [ownFollow = [], otherFollow = []] = follow('follow:added');
  const [ownUnfollow = [], otherUnfollow = []] = follow('follow:removed');
  const set = (who: TestUser, kind: string, whom: TestUser) => () =>
    sure(who.put(`/users/${whom.id}/${kind}`));
  const end = (who: TestUser, kind: string, whom: TestUser) => () =>
    sure(who.delete(`/users/${whom.id}/${kind}`));
  let leaver: TestUser | undefined;
  return [
    {
      what: 'follows the other',
      run: set(owner, 'follow', other),
      events: [...ownFollow, ...notified('other', true)],
    },
    {
      what: 'is followed by the other',
      run: set(other, 'follow', owner),
      events: [...otherFollow, ...notified('owner', true)],
    },
    {
      what: 'reads of it',
      run: () => sure(owner.put('/notifications/read', { up_to: 100 })),
      events: [
        { name: 'notification:read', to: 'owner' },
        { name: 'notifications:state', to: 'owner' },
      ],
    },
    {
      what: 'is no longer followed',
      run: end(other, 'follow', owner),
      events: [...otherUnfollow, ...noLonger('owner')],
    },
    { what: 'is followed again', run: set(other, 'follow', owner), events: otherFollow },
    {
      what: 'mutes the other',
      run: set(owner, 'mute', other),
      events: [{ name: 'mute:added', to: 'owner' }],
    },
    {
      what: 'ends the mute',
      run: end(owner, 'mute', other),
      events: [{ name: 'mute:removed', to: 'owner' }],
    },
    {
      what: 'blocks the other, which ends both follows',
      run: set(owner, 'block', other),
      events: [...ownUnfollow, ...otherUnfollow, { name: 'block:added', to: 'owner' }, ...noLonger('other')],
    },
    {
      what: 'ends the block',
      run: end(owner, 'block', other),
      events: [{ name: 'block:removed', to: 'owner' }],
    },
    {
      what: 'becomes a moderator for a while',
      run: async () => {
        const { username } = await sure(owner.get<{ username: string }>('/users/me'));
        await world.ctx.db.transaction(async (tx) => {
          for (const role of ['moderator', 'user'] as const) await grantRole(tx, username, role, '');
        });
      },
      events: [
        { name: 'role:changed', to: 'owner' },
        { name: 'role:changed', to: 'owner' },
      ],
    },
    {
      what: 'is reported by the other',
      run: () => sure(other.put(`/users/${owner.id}/report`, { reason: 'spam' })),
      events: [{ name: 'report:added', to: 'moderator' }],
    },
    {
      what: 'is warned, and the other told that the report was looked at',
      run: () =>
        sure(moderator.post('/moderation/actions', { action: 'warn', user_id: owner.id, reason: warning })),
      events: [
        { name: 'notification:added', to: 'owner', words: warning },
        { name: 'notification:added', to: 'other' },
        { name: 'notifications:state', to: 'owner' },
        { name: 'notifications:state', to: 'other' },
        { name: 'report:resolved', to: 'moderator' },
      ],
    },
    {
      what: 'is followed by somebody',
      run: async () => {
        leaver = await world.user();
        await set(leaver, 'follow', owner)();
      },
      // The second one is for the one who leaves.
      events: [
        { name: 'follow:added', to: 'owner', superseded: true },
        { name: 'follow:added', topics: [] },
        ...notified('owner', true),
      ],
    },
    {
      // Where the log is gone through for the name, it is marked as well, though it never had it.
      what: 'is left by an account that is deleted',
      run: () => sure(leaver!.delete('/users/me', { password: leaver!.password })),
      events: [{ name: 'follow:removed', to: 'owner', superseded: 'log' }, ...noLonger('owner')],
    },
  ];
}
