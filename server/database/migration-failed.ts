/** How much is shown of a text of the database. Characters. */
const SHOWN = 400;

/** A step of bringing the schema up to date, or of taking it back. */
export interface MigrationStep {
  /** As a sentence begins: `The migration x.cjs`. */
  what: string;
  /** Whether it only reads, or is one transaction. */
  kind: 'reads' | 'transaction' | 'no transaction';
}

/** Between the others. */
export const READING: MigrationStep = { what: 'Reading which migrations have been run', kind: 'reads' };

/** A step has failed. The message says which, why and what is left of it, in a few lines. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed';

  /** @param isRolledBack whether the server has confirmed that */
  constructor({ what, kind }: MigrationStep, error: unknown, isRolledBack: boolean) {
    const cause = original(error);
    super(
      [`${what} failed: ${reason(cause)}`, ...details(cause), ...stateAfter(kind, isRolledBack)].join('\n'),
      {
        cause,
      },
    );
  }
}

function stateAfter(kind: MigrationStep['kind'], isRolledBack: boolean): string[] {
  if (kind === 'reads') return [];
  if (kind === 'no transaction')
    return [
      'It is not in a transaction: what it has done may still be there, and the next run does it anew.',
    ];
  return isRolledBack
    ? ['It was rolled back: the database is as it was before it.']
    : [
        'The connection was lost. It was rolled back, unless that happened at its commit: npm run db:migrate:status says it.',
      ];
}

/** What failed, without what umzug and Sequelize have put around it. */
function original(error: unknown): unknown {
  const { name, cause, parent } = error as { name?: string; cause?: unknown; parent?: unknown };
  if (name === 'MigrationError' && cause !== undefined) return original(cause);
  return parent ?? error;
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return clipped(String(error));
  const { code } = error as { code?: string };
  return clipped(error.message) + (code === undefined ? '' : ` (${code})`);
}

function details(error: unknown): string[] {
  const { detail, hint, where, sql, code, stack } = error as Record<string, string | undefined>;
  // Of what the database has not said, where it was said.
  const line = code === undefined ? /^\s+at .*$/m.exec(stack ?? '')?.[0].trim() : undefined;
  return Object.entries({ Detail: detail, Hint: hint, Where: where, Statement: sql, Line: line })
    .filter(([, text]) => text !== undefined && text !== '')
    .map(([name, text]) => `  ${name}: ${clipped(text ?? '')}`);
}

/** On one line. */
function clipped(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN)} …` : line;
}
