import { type DestinationStream, pino, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** Logs JSON lines to standard output, or to a given stream. Values that could be secrets are redacted by path. */
export function createLogger(level: string, destination: DestinationStream = standardOutput()): Logger {
  const options = {
    level,
    base: { pid: process.pid },
    serializers: { err: (error: unknown) => describeError(error) },
    redact: {
      paths: ['*.password', '*.current_password', '*.token', '*.access_token', '*.refresh_token'],
      censor: '[secret]',
    },
  };
  return pino(options, destination);
}

/** A closed reader, such as a terminal, must not end the process. */
function standardOutput(): DestinationStream {
  const output = pino.destination(1);
  output.on('error', () => undefined);
  return output;
}

/** Fields that describe the error and contain no user data. */
const facts = ['code', 'status', 'severity', 'constraint', 'table', 'column', 'syscall', 'address', 'port'];

/**
 * The fields of an error that are logged. Not all: Sequelize's errors contain the statement with its values,
 * PostgreSQL's the row, and so addresses, hashes and texts.
 */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const known = facts.flatMap((name) => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === 'string' || typeof value === 'number' ? [[name, value] as const] : [];
  });
  const cause: unknown = 'parent' in error ? error.parent : error.cause;
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...Object.fromEntries(known),
    ...(cause instanceof Error && depth < 3 ? { cause: describeError(cause, depth + 1) } : {}),
  };
}
