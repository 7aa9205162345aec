/**
 * Most texts that are prepared in a process. Each connection keeps the plans of those that it has run, 30 to 200 kB each
 * in the server's memory; a text beyond them is planned each time, as all others are.
 */
const MOST = 100;

/** By their texts. */
const names = new Map<string, string>();

/**
 * Marks the text of a statement that runs often: each connection has the server parse it once, and plan it until the
 * server finds that one plan is good for any values. To parse and plan a short statement takes longer than to run it.
 *
 * Only for statements of which one plan is good for any values: those that look rows up, or walk along an index. So not
 * where a rare word, tag or author wants another plan than a frequent one, and where `limit` is a value: the server
 * takes an unknown one for a tenth of all rows. Tables grow while a plan is kept, so what it joins is to be fixed, by
 * `lateral … offset 0`.
 * @returns the text
 */
export function prepared(text: string): string {
  if (!names.has(text) && names.size < MOST) names.set(text, `tidings-${names.size + 1}`);
  return text;
}

/** By which name a connection prepares a statement; undefined for one that is not to be. */
export function nameOfPrepared(text: string): string | undefined {
  return names.get(text);
}
