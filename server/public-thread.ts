/**
 * Whether a post `p` is not a reply in a thread that was withdrawn or deleted, in SQL; the function `search_page` has the
 * same. No `exists`: as one of two conditions it is a hash of all posts for PostgreSQL, even for a page of ten.
 */
export const inPublicThread =
  '(p.root_id is null or (select r.published from posts r where r.id = p.root_id))';
