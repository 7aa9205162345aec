import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FUNCTIONS } from '../server/database/functions.ts';

/** Copies the texts of the SQL functions beside the compiled server, which reads them at each start. */
const target = join(import.meta.dirname, '../dist/server/database/functions');

await rm(target, { recursive: true, force: true });
await cp(FUNCTIONS, target, { recursive: true });
