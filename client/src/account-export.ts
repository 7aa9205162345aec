import { TidingsError } from './tidings-error.ts';

/** A download of all that a user has written and set. */
export interface AccountExport {
  /** A name for the file: `tidings-ada-2026-11-29.ndjson`. */
  name: string;
  /** JSON lines: `{kind, data}`. */
  content: Blob;
  /** How many lines there are of each kind. */
  counts: Record<string, number>;
}

/** What is kept of the end, where the last line is. Bytes. */
const TAIL = 16 * 1024;

/**
 * Reads an export to its last line.
 * @param maxBytes of the whole
 * @throws {TidingsError} `too_large`; `network` if it was cut off
 */
export async function readExport(response: Response, maxBytes: number): Promise<AccountExport> {
  const reader = response.body?.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) break;
    parts.push(part.value);
    size += part.value.byteLength;
    if (size <= maxBytes) continue;
    await reader?.cancel();
    throw new TidingsError('too_large', `The export is larger than ${maxBytes} bytes.`);
  }
  const content = new Blob(parts, { type: 'application/x-ndjson' });
  const counts = countsOf(await content.slice(Math.max(0, size - TAIL)).text());
  if (counts === undefined) throw new TidingsError('network', 'The export was cut off. Download it again.');
  const disposition = response.headers.get('content-disposition') ?? '';
  return { name: /filename="([\w.-]+)"/.exec(disposition)?.[1] ?? 'tidings.ndjson', content, counts };
}

/** Of the last line; undefined if it is another one. */
function countsOf(tail: string): Record<string, number> | undefined {
  try {
    const line = JSON.parse(tail.trimEnd().split('\n').at(-1) ?? '') as {
      kind?: string;
      data?: { counts?: Record<string, number> };
    };
    return line.kind === 'end' ? line.data?.counts : undefined;
  } catch {
    return undefined;
  }
}
