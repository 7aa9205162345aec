import { reasonOf } from '../database/connection.ts'; // reads bigints as numbers
import type pg from 'pg';
import type { Config } from '../config.ts';
import { connectClient } from '../database/client.ts';
import { sharedAccountReason } from '../database/embedded/accounts.ts';
import { describeDatabase } from '../config/connection-config.ts';
import { databaseFault } from '../database/requirements.ts';
import { checks, folds } from '../capability-checks.ts';
import { eventTypes } from '../event-registry.ts';
import type { Finding } from '../database/check.ts';
import { findFoldMismatches } from './fold-check.ts';
import { findHoles, findStuck } from './log-checks.ts';
import {
  findDrift,
  findLossySettings,
  findPendingMigrations,
  findProviderFaults,
  findRedisFaults,
  findReplicaFaults,
  lookAtFunctions,
} from './environment-checks.ts';

/** What was looked at, and what was found. */
export interface Examination {
  what: string;
  findings: Finding[];
  /** Why it could not be looked at. */
  skipped?: string;
  /** What is no fault and could be better. */
  hint?: string;
}

export interface ExamineOptions {
  /** Whether to compare the schema too, which takes seconds and two scratch databases. Default: yes. */
  schema?: boolean;
  /** Called when a check begins: of a large database it may take minutes. */
  onLook?: (what: string) => void;
  /** Called with each check that has ended, in order. */
  onDone?: (examination: Examination) => void;
}

/** Runs all checks in order, and stops at a failure that makes the others pointless. */
export async function examine(
  config: Readonly<Config>,
  databaseUrl: string,
  { schema = true, onLook = () => undefined, onDone = () => undefined }: ExamineOptions = {},
): Promise<Examination[]> {
  let client: pg.Client;
  const done: Examination[] = [];
  const add = (examination: Examination) => {
    done.push(examination);
    onDone(examination);
  };
  const look = async (what: string, find: () => Promise<Finding[]>) => {
    onLook(what);
    add({ what, findings: await find() });
  };
  try {
    client = await connectClient(databaseUrl, { name: 'tidings doctor', connectTimeout: 5000 });
  } catch (error) {
    const reason = reasonOf(error) || 'no connection';
    add({
      what: 'database',
      findings: [{ what: `${describeDatabase(databaseUrl)} cannot be reached: ${reason}.` }],
    });
    return done;
  }
  try {
    const unusable = await databaseFault(client, config.connectionsPerProcess);
    if (unusable !== undefined) {
      add({ what: 'database', findings: [{ what: unusable }] });
      return done;
    }
    await look('database', () => findLossySettings(client));
    if (config.databaseReplicaUrls.length > 0)
      await look('replicas', () => findReplicaFaults(config, client));
    if (config.redis) await look('redis', () => findRedisFaults(config, client));
    else add({ what: 'redis', findings: [], skipped: 'none is configured' });
    if (config.oidc) await look('OpenID provider', () => findProviderFaults(config));
    if (config.databaseUrl === undefined) {
      const shared = await sharedAccountReason(config.dataDir);
      add({
        what: 'embedded database',
        findings: [],
        ...(shared === undefined ? {} : { hint: shared }),
      });
    }
    await look('migrations', () => findPendingMigrations(databaseUrl));
    if (done.at(-1)?.findings.length) return done;
    onLook('functions');
    add({ what: 'functions', ...(await lookAtFunctions(databaseUrl)) });
    for (const { what, hint } of checks) {
      if (!hint) continue;
      onLook(what);
      const said = await hint(client, config);
      add({ what, findings: [], ...(said === undefined ? {} : { hint: said }) });
    }
    if (schema) {
      try {
        await look('schema', () => findDrift(databaseUrl));
      } catch (error) {
        add({
          what: 'schema',
          findings: [],
          skipped: reasonOf(error),
        });
      }
    }
    // One snapshot for all of these: a busy service changes between two statements.
    await client.query('begin transaction isolation level repeatable read read only');
    await look('numbering', () => findStuck(client));
    await look('log', () => findHoles(client));
    await look('fold', async () => {
      const found = [];
      for (const fold of folds) found.push(...(await findFoldMismatches(client, fold, eventTypes)));
      return found;
    });
    for (const { what, find } of checks) if (find) await look(what, () => find(client, config));
    await client.query('commit');
    return done;
  } finally {
    await client.end();
  }
}
