/** `npm run db:check`: exits 1, and says what differs, when the migrations don't make the schema that the models tell. */
import { schemaDrift } from '../server/database/drift.ts';
import { main, withDatabase } from '../server/database/target.ts';

await main(async () => {
  const { up } = await withDatabase((databaseUrl) => schemaDrift(databaseUrl), 'admin');
  if (up.length === 0) {
    console.log('The migrations make the schema that the models tell.');
    return 0;
  }
  console.log('The models tell a schema that the migrations do not make. What is missing:\n');
  console.log(up.join('\n\n'));
  console.log('\nWrite a migration with: npm run db:revision -- what-it-does');
  return 1;
});
