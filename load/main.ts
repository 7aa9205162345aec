import { writeFile } from 'node:fs/promises';
import { personAtTerminal, requireConsent } from './consent.ts';
import { readCommandLine, UsageError } from '../server/command-line.ts';
import { readOptions, usage } from './options.ts';
import { terminalProgress } from './progress-bar.ts';
import { pageOf } from './report/page.ts';
import { summaryOf } from './report/summary.ts';
import { passes, runLoadTest } from './run.ts';

async function main(): Promise<void> {
  const options = readCommandLine(usage, readOptions);
  if (options.url !== undefined) await requireConsent(options.url, options.yes, personAtTerminal());
  const report = await runLoadTest(options, terminalProgress());
  await writeFile(options.json, JSON.stringify(report, undefined, 2));
  await writeFile(options.html, await pageOf(report));
  process.stdout.write(`${summaryOf(report)}\n\n${options.json}\n${options.html}\n`);
  process.exitCode = passes(report) ? 0 : 1;
}

// What was started here goes with us, also when somebody has seen enough.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${message}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
