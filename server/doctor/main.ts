/**
 * `npm run doctor [-- --repair]`: says in a sentence each what is wrong; exits 1 if anything is. `npm run doctor --
 * --new-epoch`: after a restore, makes every client reload. What else it does on demand the capabilities say
 * (`--refold`: folds the text of every post again for searches).
 */
import { parseArgs } from 'node:util';
import { tasks } from '../capability-checks.ts';
import { ConfigError, readConfig } from '../config.ts';
import { main, withDatabase, withModels } from '../database/target.ts';
import { type Examination, examine } from './examine.ts';
import { makeNewEpoch, repair } from './repair.ts';

await main(async () => {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        repair: { type: 'boolean', default: false },
        'new-epoch': { type: 'boolean', default: false },
        ...Object.fromEntries(tasks.map(({ option }) => [option, { type: 'boolean' as const }])),
      },
    }));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const options = ['repair', 'new-epoch', ...tasks.map(({ option }) => option)];
    console.error(`${error.message}. Options: ${options.map((option) => `--${option}`).join(', ')}`);
    return 1;
  }
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
    if (values['new-epoch']) {
      const epoch = await withModels(databaseUrl, makeNewEpoch);
      console.log(`The log has the new epoch ${epoch}: every client is told to reload.`);
      return 0;
    }
    const asked = new Map(Object.entries(values));
    const task = tasks.find(({ option }) => asked.get(option) === true);
    if (task) {
      console.log(await withModels(databaseUrl, (db) => task.run(db)));
      return 0;
    }
    const told = { onLook: tellBegun, onDone: tell };
    let examinations = await examine(config, databaseUrl, told);
    const repairs = examinations.flatMap(({ findings }) => findings.filter((finding) => finding.repair));
    if (values.repair && repairs.length > 0) {
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
