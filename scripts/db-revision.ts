/** `npm run db:revision -- add-something`: writes the migration that brings the schema to what the models define. */
import { relative } from 'node:path';
import { schemaDrift } from '../server/database/drift.ts';
import { writeRevision } from '../server/database/revision.ts';
import { main, withDatabase } from '../server/database/target.ts';

await main(async () => {
  const name = process.argv.slice(2).join(' ');
  if (name === '') {
    console.error('Usage: npm run db:revision -- what-it-does');
    return 2;
  }
  const drift = await withDatabase((databaseUrl) => schemaDrift(databaseUrl), 'admin');
  if (drift.up.length === 0) {
    console.log('Nothing to do: the migrations create the schema that the models define.');
    return 0;
  }
  const file = await writeRevision(name, drift);
  console.log(`Wrote ${relative(process.cwd(), file)}; read it, then run: npm run db:migrate`);
  return 0;
});
