/** `npm run db:functions`: gives SQL functions their versions. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCommandLine, requireNoArguments } from '../server/command-line.ts';
import { FUNCTIONS, readFunctionFiles, stampFunctionFile } from '../server/database/functions.ts';

const usage = `Usage: npm run db:functions

Gives each SQL function whose text has changed a new version, in the first line of its file.
`;

readCommandLine(usage, requireNoArguments);
for (const file of await readFunctionFiles()) {
  if (file.stamped === file.digest) continue;
  await writeFile(join(FUNCTIONS, `${file.name}.sql`), stampFunctionFile(file));
  console.log(`${file.name} has version ${file.version + 1}`);
}
