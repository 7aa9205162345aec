import type { FaultName } from '../faults/faults.ts';
import type { Patch } from '../faults/tree.ts';
import type { Habits } from './program.ts';
import type { Rule } from './rules.ts';

/** A bug that filtered streams could have, as a change of the sources, and by which rule it must be found. */
export interface ModelBug {
  patches: readonly Patch[];
  /** One at least of the violations must be of one of these. */
  rules: readonly Rule[];
  /** What brings it to light, beside what listeners do by themselves. */
  faults?: readonly FaultName[];
  /** What people do more often than usual, so that it comes to light soon. */
  habits?: Partial<Habits>;
}

const restless = { follow: 40, unfollow: 30 } as const;

export const modelBugs = {
  'relations are cached beside the log, 50 ms late': {
    patches: [
      {
        file: 'server/delivery/delivery.ts',
        find: 'of this.#relations.apply(relation, seq)) {',
        replace: 'of (setTimeout(() => this.#relations.apply(relation, seq), 50), [])) {',
      },
    ],
    rules: ['topics', 'missing', 'hidden'],
    habits: restless,
  },
  'pages count a follow before it is numbered': {
    patches: [
      {
        file: 'server/database/functions/home_page.sql',
        find: 'select true from stream_relations f',
        replace: 'select true from relations f',
      },
      {
        file: 'server/database/functions/home_page.sql',
        find: 'select f.target_id from stream_relations f',
        replace: 'select f.target_id from relations f',
      },
    ],
    rules: ['page'],
    faults: ['slow roads'],
    habits: restless,
  },
  '`prev` is off by one': {
    patches: [
      {
        file: 'server/delivery/batch.ts',
        find: 'const event = { entry, prev: before };',
        replace: 'const event = { entry, prev: Math.max(0, before - 1) };',
      },
    ],
    rules: ['chain'],
  },
  'an audience defaults to public': {
    patches: [
      {
        file: 'server/relations/events.ts',
        find: 'audience: ({ userId }) => `user:${userId}`,',
        replace: "audience: () => 'public' as const,",
      },
    ],
    rules: ['audience'],
  },
  'a post that loses a tag is only told to those of its new topics': {
    patches: [
      {
        file: 'server/posts/events.ts',
        find: 'if (topics.length === 0) return undefined;',
        replace: 'if (topics.length >= 0) return undefined;',
      },
    ],
    rules: ['fold'],
    habits: { edit: 60 },
  },
  'a replay goes by the follows of now': {
    patches: [
      {
        file: 'server/topics/relations.ts',
        find: 'const next = changes.get(authorId)?.find((change) => change.seq > seq);',
        replace: 'const next = changes.get(authorId)?.find(() => false);',
      },
    ],
    rules: ['topics', 'missing'],
    faults: ['a third of the client connections cut'],
    habits: restless,
  },
  'a replay has what a block hides': {
    patches: [
      {
        file: 'server/delivery/hidden.ts',
        find: 'if (!member || member.relations.hidesNobody) return false;',
        replace: 'if (!member || member.relations.hidesNobody || Date.now() - event.at > 500) return false;',
      },
    ],
    rules: ['block'],
    faults: ['a third of the client connections cut'],
    habits: { block: 20, unblock: 1 },
  },
  'a count of replies has what the list hides': {
    patches: [
      {
        file: 'server/database/functions/delete_posts.sql',
        find: 'and p.root_id is not null and p.deleted_at is null), -1);',
        replace:
          'and p.root_id is not null and p.deleted_at is null and not exists (select from posts c where c.parent_id = p.id)), -1);',
      },
    ],
    rules: ['replies'],
    habits: { reply: 60, delete: 30 },
  },
  'a deleted reply is missing above those below it': {
    patches: [
      {
        file: 'server/posts/thread-page.ts',
        find: "'(u.deleted_at is null or (select true",
        replace: "'p.deleted_at is null', '(u.deleted_at is null or (select true",
      },
    ],
    rules: ['page'],
    habits: { reply: 60, regret: 30 },
  },
  'a report is for everybody': {
    patches: [
      {
        file: 'server/moderation/events.ts',
        find: "audience: () => 'role:moderator' as const,",
        replace: "audience: () => 'public' as const,",
      },
    ],
    rules: ['audience'],
    habits: { report: 40 },
  },
  'who is no moderator any more is still told of reports': {
    patches: [
      {
        file: 'server/topics/relations.ts',
        find: 'this.#moderatesSince = added ? seq : undefined;',
        replace: 'if (added) this.#moderatesSince = seq;',
      },
    ],
    rules: ['audience'],
    habits: { report: 40, promote: 20, demote: 20 },
  },
  'a removal is not told': {
    patches: [
      {
        file: 'server/moderation/posts.ts',
        find: 'return { tell: () => appendRemovals(tx, told) };',
        replace: 'return {};',
      },
    ],
    rules: ['page'],
    habits: { remove: 40 },
  },
  'a post that comes back is not told': {
    patches: [
      {
        file: 'server/moderation/posts.ts',
        find: 'return { tell: () => append(tx, postCreated, post) };',
        replace: 'return {};',
      },
    ],
    rules: ['page'],
    habits: { remove: 40, restore: 40 },
  },
  'a lock is not told': {
    patches: [
      {
        file: 'server/moderation/posts.ts',
        find: 'return { tell: async () => row && append(tx, postUpdated, presentPost(row)) };',
        replace: 'return {};',
      },
    ],
    rules: ['page'],
    habits: { lock: 40 },
  },
  'nobody is notified of a warning': {
    patches: [
      {
        file: 'server/moderation/commands.ts',
        find: "if (action === 'dismiss') return [];",
        replace: "if (action === 'dismiss' || action === 'warn') return [];",
      },
    ],
    rules: ['notified'],
    habits: { warn: 20 },
  },
  'a suspension ends no session': {
    patches: [
      {
        file: 'server/moderation/users.ts',
        find: "await revocations.revoke(tx, id, { code: 'suspended' });",
        replace: '',
      },
    ],
    rules: ['ended'],
    habits: { suspend: 20, unsuspend: 0 },
  },
  'who is suspended can log in': {
    patches: [
      {
        file: 'server/auth/suspension.ts',
        find: 'if (user) throw refusedBySuspension(user);',
        replace: 'if (user?.until) throw refusedBySuspension(user);',
      },
      {
        file: 'server/database/functions/refuse_session_of_suspended.sql',
        find: "raise exception 'the user is suspended' using errcode = '55P03';",
        replace: 'null;',
      },
    ],
    rules: ['suspended'],
    habits: { suspend: 20, unsuspend: 20 },
  },
  'a suspension does not end': {
    patches: [
      {
        file: 'server/moderation/users.ts',
        find: 'set suspended_until = null where id = $1',
        replace: 'set suspended_until = suspended_until where id = $1',
      },
    ],
    rules: ['suspended'],
    habits: { suspend: 20, unsuspend: 20 },
  },
  'a logout leaves the connections of its session': {
    patches: [
      {
        file: 'server/auth/revocations.ts',
        find: 'await Revocation.create({ ...end }, { transaction: tx });',
        replace: '',
      },
      {
        file: 'server/auth/revocations.ts',
        find: 'for (const listener of this.#listeners) listener(end);',
        replace: '',
      },
    ],
    rules: ['ended'],
    habits: { leave: 20 },
  },
  'a new name is not told': {
    patches: [
      {
        file: 'server/users/footprint.ts',
        find: 'await appendAll(tx, postUpdated, (await rows<PostRow>(tx, publishedPosts, ids)).map(presentPost));',
        replace: '',
      },
    ],
    rules: ['page'],
    habits: { rename: 20 },
  },
  'the end of an account does not tell that its follows ended': {
    patches: [
      {
        file: 'server/users/relations-of.ts',
        find: 'await appendErasing(tx, followRemoved, follows);',
        replace: '',
      },
    ],
    rules: ['fold'],
    habits: { follow: 40, erase: 60 },
  },
  'a notification outlives its reply': {
    patches: [
      {
        file: 'server/database/functions/forget_notifications.sql',
        find: "where n.post_id = any (ids) and n.kind <> 'moderation' and n.id <> all (gone)));",
        replace: 'where false));',
      },
    ],
    rules: ['notification'],
    habits: { reply: 60, delete: 30 },
  },
  'a reply that mentions is notified of twice': {
    patches: [
      {
        file: 'server/database/functions/notify_of_posts.sql',
        find: 'select distinct on (p.id, w.user_id) p.id as post_id',
        replace: 'select distinct p.id as post_id',
      },
      {
        file: 'server/database/functions/notify_of_posts.sql',
        find: 'order by p.id, w.user_id, w.place',
        replace: 'order by p.id, w.user_id',
      },
    ],
    rules: ['notification'],
    habits: { reply: 60 },
  },
  'the number of unread notifications has those that were read': {
    patches: [
      {
        file: 'server/database/functions/unread_notifications.sql',
        find: 'n.user_id = reader and n.read_at is null',
        replace: 'n.user_id = reader',
      },
    ],
    rules: ['unread'],
    habits: { reply: 40, read: 30 },
  },
  'what came behind what was seen is read as well': {
    patches: [
      {
        file: 'server/database/functions/read_notifications.sql',
        find: 'n.rev <= seen and n.read_at is null',
        replace: 'n.read_at is null',
      },
    ],
    rules: ['fold'],
    habits: { reply: 40, read: 30 },
  },
} satisfies Record<string, ModelBug>;
