import { isIP } from 'node:net';
import { createInterface } from 'node:readline/promises';
import { UsageError } from '../server/command-line.ts';

/** Whether an address can only be this machine. A name that merely resolves to it may resolve elsewhere next time. */
export function isLoopback(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Asks a question and gives the answer; undefined where nobody can be asked. */
export type AskPerson = ((question: string) => Promise<string>) | undefined;

/**
 * A load test brings a server down as well as a flood does. Aimed at another machine it needs somebody's word: by --yes,
 * or by typing the host's name.
 * @throws {UsageError} without it
 */
export async function requireConsent(url: string, yes: boolean, ask: AskPerson): Promise<void> {
  if (isLoopback(url) || yes) return;
  const { host } = new URL(url);
  if (!ask) throw new UsageError(`${host} is another machine: say --yes if it is yours to test`);
  const answer = await ask(`${host} is another machine. Type its name if it is yours to test: `);
  if (answer.trim() !== host) throw new UsageError('Nothing was sent.');
}

/** Anyone who sits at the terminal, if somebody does. */
export function personAtTerminal(): AskPerson {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    try {
      return await terminal.question(question);
    } finally {
      terminal.close();
    }
  };
}
