import type { Relations } from './relations.ts';
import type { Addressed } from './subscription.ts';
import { authorOf } from './topic.ts';

/**
 * Whether an event is kept from somebody because of its author: as of now. What takes replies of others along, and so
 * tells of these too, is not, unless all of them are hidden.
 * @param asked whether an author is subscribed to by name
 */
export function hidesEvent(
  relations: Pick<Relations, 'hides'>,
  { authorId, departure }: Pick<Addressed, 'authorId' | 'departure'>,
  asked: (authorId: number | null) => boolean = () => false,
): boolean {
  const hides = (id: number | null) => relations.hides(id, asked(id));
  if (!hides(authorId)) return false;
  return !departure?.topics.some((topic) => {
    const other = authorOf(topic);
    return other !== undefined && !hides(other);
  });
}
