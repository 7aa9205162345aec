import { parseArgs } from 'node:util';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { describeDatabase } from '../../server/config/connection-config.ts';
import { withConnection } from '../../server/database/client.ts';
import { migrate } from '../../server/database/migrate.ts';
import { main, withDatabase } from '../../server/database/target.ts';
import { fillCommunity, NotEmpty, PASSWORD, sizeAt } from './community.ts';

const usage = `Usage: npm run fill -- [--scale N]

Fills an empty database with a large community of three years: that of DATABASE_URL, or else the embedded one. Nothing
may run on it meanwhile. At a scale of 0.01 the database takes 0.5 GB, and as much again while it is filled.

  --scale N   1: 100,000 users, 10 million posts and replies, 2 million follows, 50 million votes, 20 million events (0.01)
`;

function readScale(args: string[]): number {
  const { values } = parseArgs({ args, options: { scale: { type: 'string', default: '0.01' } } });
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 10)) throw new UsageError('--scale must be a number above 0, at most 10');
  return scale;
}

await main(() => {
  const scale = readCommandLine(usage, readScale);
  return withDatabase(async (databaseUrl) => {
    await migrate(databaseUrl);
    const began = Date.now();
    const say = (what: string) =>
      process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(8)} s  ${what}\n`);
    try {
      await withConnection(databaseUrl, { name: 'tidings fill' }, (client) =>
        fillCommunity(client, sizeAt(scale), say),
      );
    } catch (error) {
      if (!(error instanceof NotEmpty)) throw error;
      process.stderr.write(`${error.message}\n`);
      return 1;
    }
    say(`${describeDatabase(databaseUrl)} is filled`);
    process.stdout.write(`Log in as user1@example.org, or any other number, with "${PASSWORD}".\n`);
    return 0;
  });
});
