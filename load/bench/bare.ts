import { fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromBareServer, ToBareServer } from './bare-messages.ts';

/** A bare server in a process of its own. */
export interface Bare {
  url: string;
  pid: number;
  say(message: ToBareServer): void;
  stop(): Promise<void>;
}

/**
 * @param databaseUrl where a bare HTTP server inserts posts
 * @param redisUrl what it publishes them on, and where a bare feed hears of them
 */
export async function startBare(
  kind: 'feed' | 'http',
  {
    databaseUrl = '',
    redisUrl = '',
    nodeOptions = [],
  }: { databaseUrl?: string; redisUrl?: string; nodeOptions?: readonly string[] } = {},
): Promise<Bare> {
  const file = fileURLToPath(new URL(`./bare-server${extname(import.meta.filename)}`, import.meta.url));
  const child = fork(file, [kind, databaseUrl, redisUrl], {
    execArgv: [...process.execArgv, ...nodeOptions],
  });
  const exited = once(child, 'exit');
  const [{ url }] = (await Promise.race([
    once(child, 'message'),
    exited.then(() => Promise.reject(new Error('the bare server ended before it listened'))),
  ])) as [FromBareServer];
  return {
    url,
    pid: child.pid ?? 0,
    say: (message) => child.send(message),
    stop: async () => {
      child.disconnect();
      await exited;
    },
  };
}
