import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the texts are: a file for each name. The build copies them beside the compiled server. */
export const FUNCTIONS = join(import.meta.dirname, 'functions');

/**
 * The migration from which on functions are not the migrations' to make, and are replaced when their file changes.
 * Those before it made them, and continue doing so in a new database.
 */
export const FUNCTIONS_SINCE = '20261128002203-functions-in-files.cjs';

/** The text of the functions of one name, as its file has it. */
export interface FunctionFile {
  name: string;
  /** Grows with each change of the text, so that a build knows an older text than its own from a newer one. */
  version: number;
  /** Of the text, without its first line. */
  digest: string;
  /** The digest in the first line: another one if the text has been changed and not stamped (`npm run db:functions`). */
  stamped: string | undefined;
  sql: string;
  /** How many functions it makes: several take different arguments; none where the name was given up. */
  makes: number;
}

/** How the functions of one name in a database compare with this build's file. */
export interface FunctionState {
  file: FunctionFile;
  state:
    | 'current'
    /** There is none. */
    | 'missing'
    /** Of an older build, or changed by hand. */
    | 'other'
    /** Of a newer build, whose migrations the database still has. */
    | 'newer';
}

/** Runs one statement, or several without values, and gives the rows of the last. */
export type Run = (sql: string, values?: readonly unknown[]) => Promise<object[]>;

const FIRST_LINE = /^-- version (\d+) sha256:([0-9a-f]+)\n/;
const STATEMENT =
  /^(?:create or replace (?:function|procedure)|drop (?:function|procedure) if exists) (\w+)\(/gm;

/** The files of a folder, in the order of their names. @throws {Error} naming one that makes or drops another function */
export async function readFunctionFiles(folder = FUNCTIONS): Promise<FunctionFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) =>
      parseFunctionFile(name.slice(0, -'.sql'.length), await readFile(join(folder, name), 'utf8')),
    ),
  );
}

/** @throws {Error} if the text makes or drops anything but functions of this name */
function parseFunctionFile(name: string, content: string): FunctionFile {
  const text = content.replaceAll('\r\n', '\n');
  const [line = '', version = '0', stamped] = FIRST_LINE.exec(text) ?? [];
  const sql = text.slice(line.length);
  const statements = [...sql.matchAll(STATEMENT)];
  const other = statements.find((statement) => statement[1] !== name);
  if (other) throw new Error(`functions/${name}.sql is about another function, ${other[1]}`);
  if (statements.length === 0)
    throw new Error(
      `functions/${name}.sql has no "create or replace function ${name}(" and no "drop function if exists"`,
    );
  return {
    name,
    version: Number(version),
    digest: shortDigest(sql),
    stamped,
    sql,
    makes: statements.filter(([statement]) => statement.startsWith('create')).length,
  };
}

/** The content of a file with its version and its digest in the first line; the version grows if the text has changed. */
export function stampFunctionFile({ version, digest, stamped, sql }: FunctionFile): string {
  return `-- version ${stamped === digest ? version : version + 1} sha256:${digest}\n${sql}`;
}

function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * What a function `p` is, without what its text inherits from where it was made. Of catalogue columns that keep their values
 * through a dump and a new version of PostgreSQL.
 */
const DEFINITION = `left(encode(sha256(convert_to(concat_ws(E'\\n', p.prosrc, p.provolatile,
  p.proparallel, p.prosecdef, p.prorows, p.procost, pg_get_function_result(p.oid),
  (select string_agg(setting, ',' order by setting) from unnest(p.proconfig) setting where setting !~ '^search_path=')),
  'UTF8')), 'hex'), 16)`;

/** The mark that a build leaves on what it makes, in the comment. The newest migration tells whether that build's tables are still there. */
const MARK = /^tidings version=(\d+) text=([0-9a-f]{16}) definition=([0-9a-f]{16}) migration=(\S+)$/;

interface Made {
  name: string;
  comment: string | null;
  definition: string;
  /** Whether it finds the tables of this schema, or needs none. */
  at_home: boolean;
}

/**
 * How the functions in a database compare with these files.
 * @param executed the names of the migrations that the database has run
 */
export async function functionStates(
  run: Run,
  files: readonly FunctionFile[],
  executed: readonly string[],
): Promise<FunctionState[]> {
  const made = (await run(
    `select p.proname::text as name, obj_description(p.oid, 'pg_proc') as comment, ${DEFINITION} as definition,
       coalesce((select setting = 'search_path=' || quote_ident(current_schema()) || ', pg_temp'
                 from unnest(p.proconfig) setting where setting ~ '^search_path='), true) as at_home
     from pg_proc p where p.pronamespace = current_schema()::regnamespace and p.proname = any ($1)`,
    [files.map(({ name }) => name)],
  )) as Made[];
  return files.map((file) => ({
    file,
    state: stateOf(
      file,
      made.filter(({ name }) => name === file.name),
      executed,
    ),
  }));
}

function stateOf(
  file: FunctionFile,
  made: readonly Made[],
  executed: readonly string[],
): FunctionState['state'] {
  if (made.length === 0) return file.makes === 0 ? 'current' : 'missing';
  let current = 0;
  for (const { comment, definition, at_home } of made) {
    const [, version, text, marked, migration = ''] = MARK.exec(comment ?? '') ?? [];
    if (Number(version) > file.version && executed.includes(migration)) return 'newer';
    if (text === file.digest && marked === definition && at_home) current += 1;
  }
  return file.makes > 0 && current >= file.makes ? 'current' : 'other';
}

/**
 * Makes functions that are missing, before the first migration that may need one of them for a trigger. Their bodies are not
 * checked: what they name may come with a later migration. Nobody calls them yet.
 * @param run in a transaction
 */
export async function makeMissingFunctions(run: Run, states: readonly FunctionState[]): Promise<void> {
  await fixSettings(run);
  for (const { file, state } of states) if (state === 'missing') await run(file.sql);
}

/**
 * Puts this build's text in place of others. A call that is in progress ends as it began; the next one is of the new
 * text.
 * @param run in a transaction
 * @param newest the newest migration that this build has run
 */
export async function replaceFunctions(
  run: Run,
  files: readonly FunctionFile[],
  newest: string,
): Promise<void> {
  // Once without a look at the bodies, since they may call each other, and once with it.
  await fixSettings(run);
  for (const { sql } of files) await run(sql);
  await run('set local check_function_bodies = on');
  for (const { name, version, digest, sql } of files) {
    await run(sql);
    const statements = (await run(
      `select format('comment on routine %s is %L', p.oid::regprocedure,
         format('tidings version=%s text=%s definition=%s migration=%s', $2::text, $3::text, ${DEFINITION}, $4::text)) as statement
       from pg_proc p where p.pronamespace = current_schema()::regnamespace and p.proname = $1`,
      [name, String(version), digest, newest],
    )) as { statement: string }[];
    for (const { statement } of statements) await run(statement);
  }
}

/**
 * `set search_path from current` in a text takes the schema of the tables by its name, so that anyone who calls a
 * function finds them: a trigger fires while `pg_restore` loads rows, and there the search_path is empty.
 */
async function fixSettings(run: Run): Promise<void> {
  await run(`select set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)`);
  await run('set local check_function_bodies = off');
}
