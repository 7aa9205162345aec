-- version 1 sha256:f67c93dd9f8b8d85
-- No version calls it any more.
drop function if exists search_posts(tsquery, text[], bigint);
