-- version 1 sha256:f968c6cb5230cb61
-- Words that are cut: those with a character of a script that puts no spaces between words (Thai, Lao, Tibetan,
-- Burmese, Khmer and its neighbours; from U+2E80 on Chinese, Japanese, Yi and others, but not Korean), and long ones.
-- Of a text: whether it has such a word.
create or replace function search_word_is_cut(word text) returns boolean
language sql immutable parallel safe as $$
  select word collate "C" ~ '[\u0E00-\u109F\u1780-\u17FF\u1950-\u19DF\u1A20-\u1AAF\u1B00-\u1BBF\u2E80-\u2FDF\u3005-\u3007\u3040-\u30FF\u3105-\u312F\u31A0-\u31FF\u3400-\u4DBF\u4E00-\uA4CF\uA980-\uA9FF\uAA60-\uAA7F\uF900-\uFAFF\U00016FE0-\U00018DFF\U0001AFF0-\U0001B2FF\U00020000-\U0003FFFF]|[^ ]{41}'
$$;
