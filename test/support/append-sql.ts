import { postCreated, postDeleted, postUpdated } from '../../server/posts/events.ts';

const types = [postCreated, postUpdated, postDeleted];

/** By name, as a capability declares it. */
const byName = (of: (type: (typeof types)[number]) => string) =>
  `case told.name ${types.map((type) => `when '${type.name}' then ${of(type)}`).join(' ')} end`;

/**
 * SQL that appends events of posts, as the service does.
 * @param facts a query of their names, the ids of the posts and the payloads, in order
 * @param more further columns that it gives
 */
export function appendPosts(facts: string, more: readonly string[] = []): string {
  return `
    insert into event_outbox
      (name, entity_type, entity_id, audience, topics, supersedes, redaction, data${more.map((column) => `, ${column}`).join('')})
    select told.name, 'post', told.post_id, 'public', '{feed}',
      ${byName(({ supersedes }) => `'${supersedes}'`)},
      ${byName(({ redaction }) => `'{${redaction.join(',')}}'`)}::text[],
      told.data::json${more.map((column) => `, told.${column}`).join('')}
    from (${facts}) told (name, post_id, data${more.map((column) => `, ${column}`).join('')})`;
}
