import { pino, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** JSON lines on standard output. What could carry a secret is cut out by path, whoever logs it. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: { pid: process.pid },
    redact: {
      paths: ['*.password', '*.current_password', '*.token', '*.access_token', '*.refresh_token'],
      censor: '[secret]',
    },
  });
}
