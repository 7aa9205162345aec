-- version 1 sha256:322f4cf7b59ade3e
-- The keys of `posts_search_grams_idx` that cover the blocks from the first to before the end: the largest that fit.
-- A block is 2,048 ids together; the index also has 4 and 16 of these together.
create or replace function search_blocks(first_block bigint, end_block bigint) returns bigint[]
language plpgsql immutable as $$
declare
  keys bigint[] := '{}';
  block bigint := first_block;
begin
  while block < end_block loop
    if block % 16 = 0 and block + 16 <= end_block then
      keys := keys || (-2 - 2 * (block / 16));
      block := block + 16;
    elsif block % 4 = 0 and block + 4 <= end_block then
      keys := keys || (-1 - 2 * (block / 4));
      block := block + 4;
    else
      keys := keys || block;
      block := block + 1;
    end if;
  end loop;
  return keys;
end
$$;
