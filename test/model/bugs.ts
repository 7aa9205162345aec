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
        find: "'(u.deleted_at is null or exists",
        replace: "'p.deleted_at is null', '(u.deleted_at is null or exists",
      },
    ],
    rules: ['page'],
    habits: { reply: 60, delete: 30 },
  },
} satisfies Record<string, ModelBug>;
