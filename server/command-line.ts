/** Arguments that a command does not understand. The message says what is wrong with them; it may be empty. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * What the arguments of a command ask for. `--help` writes the usage to stdout and exits with 0; arguments that are not
 * understood write it to stderr, with what is wrong, and exit with 2.
 * @param read is given the arguments. It throws what `parseArgs` throws, or a `UsageError`
 */
export function readCommandLine<T>(usage: string, read: (args: string[]) => T): T {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${usage.trimEnd()}\n`);
    process.exit(0);
  }
  try {
    return read(args);
  } catch (error) {
    const fault = faultOf(error);
    if (fault === undefined) throw error;
    process.stderr.write(`${fault === '' ? '' : `${fault}.\n\n`}${usage.trimEnd()}\n`);
    process.exit(2);
  }
}

function faultOf(error: unknown): string | undefined {
  if (error instanceof UsageError) return error.message;
  const { code = '', message } = error as NodeJS.ErrnoException;
  // Node goes on with how to give what looks like an option and is none.
  return code.startsWith('ERR_PARSE_ARGS') ? message.split(/\.(?:\s|$)|\n/)[0] : undefined;
}

/** A command without arguments. */
export function requireNoArguments(args: readonly string[]): void {
  if (args[0] !== undefined) throw new UsageError(`Unexpected argument '${args[0]}'`);
}
