/** `npm run db:revision -- add-something`: writes a migration. */
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../server/command-line.ts';
import { schemaDrift } from '../server/database/drift.ts';
import { writeRevision } from '../server/database/revision.ts';
import { main, withDatabase } from '../server/database/target.ts';

const usage = `Usage: npm run db:revision -- what-it-does

Writes the migration that brings the schema to what the models define.
`;

function readName(args: string[]): string {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  if (positionals.length === 0) throw new UsageError('A name is missing');
  return positionals.join(' ');
}

await main(async () => {
  const name = readCommandLine(usage, readName);
  const drift = await withDatabase((databaseUrl) => schemaDrift(databaseUrl), 'admin');
  if (drift.up.length === 0) {
    console.log('Nothing to do: the migrations create the schema that the models define.');
    return 0;
  }
  const file = await writeRevision(name, drift);
  console.log(`Wrote ${relative(process.cwd(), file)}; read it, then run: npm run db:migrate`);
  return 0;
});
