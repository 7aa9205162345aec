#!/usr/bin/env bash
# sequelize 6.37.8 on PostgreSQL: `fn()` changes or refuses a text in which `$` follows a letter, digit or underscore.
#
# Guessed: `fn('lower', text)` quotes the text, so the row gets what PostgreSQL's lower() makes of it.
# Seen: Sequelize doubles each `$` in the text of `fn()`, and afterwards reads the whole statement for parameters, where `$$`
# becomes `$` again, but only where no letter, digit or underscore stands before it. So an update stores `us$ 5` as `us$$ 5`,
# with no error, and refuses `us$now` with "Named bind parameter". `a $$ b` and `cash $now` are right, so that a test of the
# usual suspects passes. A SELECT has no parameters, and there every `$` stays doubled. A plain value is bound and kept.
#
# Output seen:
#   a $$ b -> a $$ b
#   cash $now -> cash $now
#   us$ 5 -> us$$ 5
#   us$now -> Error: Named bind parameter "$now" has no value in the given object.
#   plain value: us$ 5
#   select: us$$ 5
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent sequelize@6.37.8 pg@8.16.3 @electric-sql/pglite@0.3.14 @electric-sql/pglite-socket@0.0.19
cat >run.mjs <<'JS'
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { DataTypes, fn, Sequelize } from 'sequelize';

const server = new PGLiteSocketServer({ db: await PGlite.create(), host: '127.0.0.1', port: 0 });
const listening = new Promise((resolve) => server.addEventListener('listening', (event) => resolve(event.detail)));
await server.start();
const { port } = await listening;
const database = new Sequelize({
  dialect: 'postgres', host: '127.0.0.1', port, username: 'postgres', password: 'postgres', database: 'postgres',
  logging: false, pool: { max: 1 },
});
const Note = database.define('note', { label: DataTypes.TEXT, text: DataTypes.TEXT }, { timestamps: false });
await Note.sync();
const note = await Note.create({ label: 'x', text: '' });

const lines = [];
for (const text of ['a $$ b', 'cash $now', 'us$ 5', 'us$now']) {
  const outcome = await Note.update({ label: 'y', text: fn('lower', text) }, { where: { id: note.id } })
    .then(async () => (await note.reload()).text, String);
  lines.push(`${text} -> ${outcome}`);
}
await Note.update({ label: 'y', text: 'us$ 5' }, { where: { id: note.id } });
lines.push(`plain value: ${(await note.reload()).text}`);
const [{ kept }] = await Note.findAll({ attributes: [[fn('lower', 'us$ 5'), 'kept']], raw: true });
lines.push(`select: ${kept}`);
console.log(lines.join('\n'));
await database.close();
await server.stop();
const expected = [
  'a $$ b -> a $$ b',
  'cash $now -> cash $now',
  'us$ 5 -> us$$ 5',
  'us$now -> Error: Named bind parameter "$now" has no value in the given object.',
  'plain value: us$ 5',
  'select: us$$ 5',
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node run.mjs
