/** `npm run db:check`: compares the migrations with the models. */
import { readCommandLine, requireNoArguments } from '../server/command-line.ts';
import { schemaDrift } from '../server/database/drift.ts';
import { readFunctionFiles } from '../server/database/functions.ts';
import { main, withDatabase } from '../server/database/target.ts';

const usage = `Usage: npm run db:check

Exits with 1, and says what differs, when the migrations do not create the schema that the models define, or when the
text of a SQL function has been changed without a new version.
`;

await main(async () => {
  readCommandLine(usage, requireNoArguments);
  const unstamped = (await readFunctionFiles()).filter(({ stamped, digest }) => stamped !== digest);
  if (unstamped.length > 0) {
    console.log(`Changed without a new version: ${unstamped.map(({ name }) => name).join(', ')}.`);
    console.log('Run: npm run db:functions');
    return 1;
  }
  const { up } = await withDatabase((databaseUrl) => schemaDrift(databaseUrl), 'admin');
  if (up.length === 0) {
    console.log('The migrations create the schema that the models define.');
    return 0;
  }
  console.log('The models define a schema that the migrations do not create. Missing:\n');
  console.log(up.join('\n\n'));
  console.log('\nWrite a migration with: npm run db:revision -- what-it-does');
  return 1;
});
