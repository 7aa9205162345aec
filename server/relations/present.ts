import type { RelatedUser } from './event-payloads.ts';

/** One of the users in a list of relations, and since when. */
export interface RelationEntry {
  user: RelatedUser;
  created_at: string;
}

export function presentRelation(row: RelatedUser & { created_at: Date }): RelationEntry {
  return { user: { id: row.id, username: row.username }, created_at: row.created_at.toISOString() };
}
