import { readFile } from 'node:fs/promises';

/** Connections for requests and for those who are refused, beside the places. Beyond that there would be no files left to open. */
export const SPARE_CONNECTIONS = 2000;

/**
 * Why a process may open too few files for its connections, as a sentence; undefined if it may open enough, or where the
 * system does not tell. Where it may open no more, the system resets each new connection, and nothing is logged.
 */
export async function fileLimitFault(maxConnections: number): Promise<string | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const [, limit] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  const needed = maxConnections + SPARE_CONNECTIONS;
  return limit === undefined || Number(limit) >= needed
    ? undefined
    : `A process may open ${limit} files (ulimit -n), and needs ${needed} for MAX_CONNECTIONS (${maxConnections}) and ` +
        'requests: raise the limit or lower MAX_CONNECTIONS. Beyond it new connections are reset.';
}
