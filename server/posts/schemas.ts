import Joi from 'joi';
import { tagOf } from '../text/tags.ts';
import { sorts, threadSorts } from './cursor.ts';
import { postEvent } from './event-names.ts';
import type { PostView, RemovedPost } from './event-payloads.ts';
import {
  count,
  exactly,
  id,
  type Infer,
  listOf,
  object,
  oneOf,
  optional,
  pageCursor,
  pageSize,
  text,
  timestamp,
  visibleText,
  withDefault,
} from '../api/schema.ts';

const title = visibleText().max(200).description('Shown in the feed').example('Hello');
const content = text().allow('').max(10_000).description('Plain text').example('First words.');
const published = Joi.boolean()
  .strict()
  .description('`false`: a draft, which only its owner sees and no client is sent');

export const createPost = object({
  title,
  content,
  published: withDefault(published, true),
})
  .example({ title: 'Hello', content: 'First words.' })
  .id('CreatePost');

const editedContent = content.description('Plain text; of a reply there is something to see in it');

export const replacePost = object({
  title: optional(title.description('Required of a post; a reply has none')),
  content: editedContent,
  published: optional(
    Joi.boolean()
      .strict()
      .description('`false`: a draft. Left out: `true`. A reply is never a draft, and has no such field'),
  ),
})
  .example({ title: 'Hello again', content: 'Second words.' })
  .id('ReplacePost');

export const editPost = object({
  title: optional(title),
  content: optional(editedContent),
  published: optional(published),
})
  .min(1)
  .example({ content: 'Third words.' })
  .id('EditPost');

export const createReply = object({
  content: visibleText().max(10_000).description('Plain text').example('An answer.'),
})
  .example({ content: 'An answer.' })
  .id('CreateReply');

export const postParams = object({ id: id().description("The post's id").example(1) });

const ownerFields = { id: id(), username: Joi.string() };
const owner = object(ownerFields).id('Owner');

const publishedAt = timestamp()
  .allow(null)
  .description(
    'The first publication, which decides `sort=new` and `sort=hot`: withdrawing and publishing again does not move a post. `null` for a draft that has never been public',
  ) as Joi.AnySchema<string | null>;

const ofReply = (what: string) =>
  id().allow(null).description(`${what}; \`null\` of a post that is no reply`) as Joi.AnySchema<
    number | null
  >;
const parentId = ofReply('The post that this one answers');
const rootId = ofReply('The post that its thread began with');
/** Of a tag in a query, in UTF-16 units: written in another Unicode form it may be longer than the tag itself. */
const LONGEST_TAG = 400;

const tags = listOf(Joi.string()).description('The tags in its text').example([]);
const mentions = listOf(owner)
  .description('Who is mentioned in its text, each by the name that stands there')
  .example([]);
const replies = count().description(
  'The number of replies below it at `rev`, at whatever depth, without deleted ones. It is the same for everyone, so it counts also those that a list leaves out since you and their author block each other',
);

const locked = optional(oneOf(true)).description(
  'Only where a moderator has closed its thread: nobody may reply in it',
);

const postFields = {
  id: id(),
  title: Joi.string().allow(null).description('`null` of a reply') as Joi.AnySchema<string | null>,
  content: Joi.string().allow(''),
  published: Joi.boolean(),
  created_at: timestamp(),
  published_at: publishedAt,
  updated_at: timestamp().description(
    'When its author last changed it. It is later than `published_at` only where that was after the first publication',
  ),
  version: Joi.number()
    .integer()
    .min(1)
    .description('Grows by one with each edit, and where a moderator restores the post or closes its thread'),
  owner_id: id(),
  owner,
  parent_id: parentId,
  root_id: rootId,
  tags,
  mentions,
  locked,
  votes: count().description('The number of votes at `rev`'),
  replies,
  rev: count().description('Grows with each change of `votes` or `replies`'),
};

/** Empty where it was taken out. */
const eventTitle: Joi.AnySchema<string | null> = Joi.string().allow('', null);

/** A post as it is in events: the same for everyone. */
export const postView = exactly<PostView>()(
  object({
    ...postFields,
    title: eventTitle,
    published_at: optional(publishedAt),
    owner: object({ id: id(), username: Joi.string().allow('') }),
    parent_id: optional(parentId),
    root_id: optional(rootId),
    tags: optional(tags),
    mentions: optional(mentions),
    replies: optional(replies),
    redacted: optional(oneOf(true)).description(
      `A later event of the post took the text out of this one before it was sent, as in a replay. That event follows: \`${postEvent.removed}\`, or \`${postEvent.changed}\` with the post as it is (if you do not show it yet, insert it then)`,
    ),
  }).id('PostEvent'),
);

/** A post that others can no longer see, as it is in events. */
export const removedPost = exactly<RemovedPost>()(
  object({
    id: id().example(7),
    root_id: optional(
      id()
        .allow(null)
        .description(
          'Of a reply, the post that its thread began with. `null` of any other: its thread goes with it. Absent where the post alone has left a topic, as that of a tag which an edit took out of it',
        )
        .example(null) as Joi.AnySchema<number | null>,
    ),
    by: optional(oneOf('moderator')).description(
      'Only where a moderator has removed it: then it may come back with the next `version`',
    ),
  }).id('DeletedPost'),
);

/** A post as a REST answer: with what only its requester knows. */
export const post = object({
  ...postFields,
  voted: Joi.boolean().description('Whether the requesting user has voted for it'),
}).id('Post');

export const posts = listOf(post);

/** A reply in the list of its thread. */
const threadReply = object({
  ...postFields,
  content: Joi.string().allow('').description('Empty of a deleted reply'),
  owner_id: id().allow(null).description('`null` of a deleted reply'),
  owner: object(ownerFields).allow(null).description('`null` of a deleted reply'),
  voted: Joi.boolean().description('Whether the requesting user has voted for it'),
  depth: count().description('1 of a reply to the first post of the thread, 2 of a reply to that reply …'),
  deleted: optional(oneOf(true)).description(
    'It was deleted and there are living replies below it. Of all others it is absent',
  ),
}).id('ThreadReply');

export const replyList = listOf(threadReply);

export const listReplies = object({
  limit: pageSize(10),
  sort: withDefault(
    oneOf(...threadSorts)
      .description(
        '`old`: oldest first, so that none comes before what it answers; `new`: newest first; `top`: most votes first',
      )
      .example('old'),
    'old',
  ),
  cursor: pageCursor('thread:old', '7', 7),
});
export type ListReplies = Infer<typeof listReplies>;

export const listPosts = object({
  limit: pageSize(10),
  skip: withDefault(
    count().description('How many to skip; a cursor is faster and does not shift').example(0),
    0,
  ),
  search: withDefault(
    text()
      .allow('')
      .max(200)
      .description(
        'Words that must all occur in title or content, in any order, each anywhere in a word there. Case, accents and Unicode form make no difference, in any script; `%` and `_` mean themselves. One in which there is nothing to see but accents lists everything',
      )
      .example('hello words'),
    '',
  ),
  sort: withDefault(
    oneOf(...sorts)
      .description('`new`: newest first; `top`: most votes first; `hot`: votes weighed against age')
      .example('new'),
    'new',
  ),
  view: withDefault(
    oneOf('all', 'home')
      .description(
        '`home`: only your own posts and those of users whom you follow, as the stream has it at `X-Feed-Seq`',
      )
      .example('home'),
    'all',
  ),
  replies: withDefault(
    Joi.boolean()
      .sensitive()
      .description('`true`: replies too, but not in `view=home`; otherwise only posts that are no replies')
      .example(false),
    false,
  ),
  owner_id: optional(id().description("Only this user's posts").example(1)),
  tag: optional(
    text()
      .max(LONGEST_TAG)
      .custom((value: string, helpers) => tagOf(value) ?? helpers.error('string.tag'), 'tag')
      .description(
        'Only posts with this tag, with or without `#`. Case, width and Unicode form make no difference',
      )
      .example('hello'),
  ),
  published: optional(
    Joi.boolean()
      .sensitive()
      .description('`true`: only published posts; `false`: only your own drafts; absent: both')
      .example(true),
  ),
  cursor: pageCursor('new', '2026-11-28 12:00:00+00', 7),
});
export type ListPosts = Infer<typeof listPosts>;

const anyIdempotencyKey = Joi.string()
  .pattern(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible ASCII characters')
  .description('A repeated request with the same key is not executed twice, for a day');
export const idempotencyKey = anyIdempotencyKey.example('5f0c7c0e-7f4e-4c5d-9a55-0a2f4c3f9d3b');
/** With another example: one key is for one request. */
export const replyIdempotencyKey = anyIdempotencyKey.example('0b7f6b0e-58a5-4a6e-8f0f-6f3f2f0a7c11');
