#!/usr/bin/env bash
# @electric-sql/pglite 0.5.17: `live.incrementalQuery` loses the end of its list when a row takes the place of another.
#
# Guessed: it gives the rows that `live.query` gives. Its documentation says that it "materialises the full result set on each
# update from only the changes", and recommends it for large results; no other difference is named but the key.
# Seen: the list is kept as a chain, each row with the key of the one before it. If a row that goes and one that comes have
# the same one before them, the chain ends there, and so does the list, without an error. A post that is taken back and written
# anew in one go, or gets another id, hides all that stand behind it. Of the four newest posts three are left when the
# fourth is deleted, since the fifth comes in at its place; when another of them is deleted all is well. `refresh()` does
# not bring them back, and neither does what is written elsewhere in the list: it stays so until something changes right there.
# `live.query` is right throughout.
# A list of what is new is whole whenever somebody writes, and ends early for the one user before whose eyes a post was changed.
#
# Output seen:
#   delete the third of six, four in sight: 6 5 3 2; live.query 6 5 3 2
#   delete the fourth of six, four in sight: 6 5 4; live.query 6 5 4 2
#   then a new one: 7 6 5 4; live.query 7 6 5 4
#   replace the third of six: 6 5; live.query 6 5 4.5 3 2 1
#   another id for the third of six: 6 5; live.query 6 5 4.5 3 2 1
#   the same, then refreshed: 6 5; live.query 6 5 4.5 3 2 1
#   then a new one: 7 6 5; live.query 7 6 5 4.5 3 2 1
#   then one right there: 7 6 5 4.7 4.5 3 2 1; live.query 7 6 5 4.7 4.5 3 2 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent @electric-sql/pglite@0.5.17
cat >run.mjs <<'JS'
import { PGlite } from '@electric-sql/pglite';
import { live } from '@electric-sql/pglite/live';
import { setTimeout as wait } from 'node:timers/promises';

const database = await PGlite.create({ extensions: { live } });
const ids = (rows) => rows.map(({ id }) => Number(id)).join(' ');
const lines = [];
const show = async (limit, ...steps) => {
  await database.exec(
    'DROP TABLE IF EXISTS post; CREATE TABLE post (id numeric PRIMARY KEY); INSERT INTO post SELECT generate_series(1, 6)',
  );
  const query = `SELECT id FROM post ORDER BY id DESC ${limit}`;
  let rows;
  let plain;
  const incremental = await database.live.incrementalQuery(query, [], 'id', (result) => (rows = result.rows));
  const whole = await database.live.query(query, [], (result) => (plain = result.rows));
  for (const [name, sql] of steps) {
    if (sql) await database.exec(sql);
    else await incremental.refresh();
    await wait(300);
    lines.push(`${name}: ${ids(rows)}; live.query ${ids(plain)}`);
  }
  await incremental.unsubscribe();
  await whole.unsubscribe();
};
await show('LIMIT 4', ['delete the third of six, four in sight', 'DELETE FROM post WHERE id = 4']);
await show(
  'LIMIT 4',
  ['delete the fourth of six, four in sight', 'DELETE FROM post WHERE id = 3'],
  ['then a new one', 'INSERT INTO post VALUES (7)'],
);
await show('', ['replace the third of six', 'DELETE FROM post WHERE id = 4; INSERT INTO post VALUES (4.5)']);
await show(
  '',
  ['another id for the third of six', 'UPDATE post SET id = 4.5 WHERE id = 4'],
  ['the same, then refreshed'],
  ['then a new one', 'INSERT INTO post VALUES (7)'],
  ['then one right there', 'INSERT INTO post VALUES (4.7)'],
);
console.log(lines.join('\n'));
const expected = [
  'delete the third of six, four in sight: 6 5 3 2; live.query 6 5 3 2',
  'delete the fourth of six, four in sight: 6 5 4; live.query 6 5 4 2',
  'then a new one: 7 6 5 4; live.query 7 6 5 4',
  'replace the third of six: 6 5; live.query 6 5 4.5 3 2 1',
  'another id for the third of six: 6 5; live.query 6 5 4.5 3 2 1',
  'the same, then refreshed: 6 5; live.query 6 5 4.5 3 2 1',
  'then a new one: 7 6 5; live.query 7 6 5 4.5 3 2 1',
  'then one right there: 7 6 5 4.7 4.5 3 2 1; live.query 7 6 5 4.7 4.5 3 2 1',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
