/** `npm run doctor`: says in a sentence each what is wrong. What else it does on demand the capabilities say. */
import { parseArgs } from 'node:util';
import { tasks } from '../capability-checks.ts';
import { readCommandLine, UsageError } from '../command-line.ts';
import { ConfigError, readConfig, variableNames } from '../config.ts';
import { misspelt } from '../config/misspelt.ts';
import { main, withDatabase, withModels } from '../database/target.ts';
import { type Examination, examine } from './examine.ts';
import { makeNewEpoch, repair } from './repair.ts';

const usage = `Usage: npm run doctor [-- OPTION]

Looks at the configuration, the database and what is in it, and says in a sentence each what is wrong. Exits with 1 if
anything is.

  --repair      repairs what can be repaired, and looks again
  --new-epoch   gives the log a new epoch, after a restore: every client reloads
${tasks.map(({ option, usage }) => `  ${`--${option}`.padEnd(13)} ${usage}\n`).join('')}`;

/** The option that was given, if one was. */
function readOption(args: string[]): string | undefined {
  const names = ['repair', 'new-epoch', ...tasks.map(({ option }) => option)];
  const options = Object.fromEntries(names.map((name) => [name, { type: 'boolean' as const }]));
  const [option, other] = Object.keys(parseArgs({ args, options }).values);
  if (other !== undefined) throw new UsageError(`--${option} and --${other} do not go together`);
  return option;
}

await main(() => {
  const asked = readCommandLine(usage, readOption);
  return withDatabase(async (databaseUrl) => {
    let config;
    try {
      config = readConfig(process.env);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      console.log(`✗ configuration\n    ${error.message.replaceAll('\n', '\n    ')}`);
      return 1;
    }
    console.log('✓ configuration');
    for (const slip of misspelt(process.env, variableNames)) console.log(`- configuration: ${slip}`);
    if (asked === 'new-epoch') {
      const epoch = await withModels(databaseUrl, makeNewEpoch);
      console.log(`The log has the new epoch ${epoch}: every client is told to reload.`);
      return 0;
    }
    const task = tasks.find(({ option }) => option === asked);
    if (task) {
      console.log(await withModels(databaseUrl, (db) => task.run(db)));
      return 0;
    }
    const told = { onLook: tellBegun, onDone: tell };
    let examinations = await examine(config, databaseUrl, told);
    const repairs = examinations.flatMap(({ findings }) => findings.filter((finding) => finding.repair));
    if (asked === 'repair' && repairs.length > 0) {
      let repaired = 0;
      await withModels(
        databaseUrl,
        async (db) => {
          for (const each of repairs) {
            try {
              await repair(db, each);
              repaired += 1;
            } catch (error) {
              // The others are repaired nevertheless.
              console.log(`\nNot repaired: ${each.what} ${String(error)}`);
            }
          }
        },
        2,
      );
      console.log(`\n${repaired} repaired. Checking again:\n`);
      examinations = await examine(config, databaseUrl, told);
    } else if (repairs.length > 0) {
      console.log(`\n${repairs.length} of these can be repaired with: npm run doctor -- --repair`);
    }
    return examinations.some(({ findings }) => findings.length > 0) ? 1 : 0;
  });
});

/** On a terminal: of a large database a check may take minutes. What follows is written over it. */
function tellBegun(what: string): void {
  if (process.stdout.isTTY) process.stdout.write(`… ${what}\r`);
}

function tell({ what, findings, skipped, hint }: Examination): void {
  if (skipped !== undefined) console.log(`- ${what}: not checked (${skipped})`);
  else if (hint !== undefined) console.log(`- ${what}: ${hint}`);
  else console.log(`${findings.length === 0 ? '✓' : '✗'} ${what}`);
  for (const finding of findings) console.log(`    ${finding.what}`);
}
