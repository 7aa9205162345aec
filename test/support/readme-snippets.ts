import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../server/paths.ts';

/** A block of code of a README. */
export interface Snippet {
  /** From the comment `<!-- example: NAME -->` before it; undefined: it has none. */
  name: string | undefined;
  language: string;
  code: string;
}

const BLOCK = /(?:<!-- example: (\S+) -->\s+)?```(\w*)\n(.*?)```/gs;

/** @param path of a README in the checkout */
export async function snippetsOf(path: string): Promise<Snippet[]> {
  const text = await readFile(join(packageRoot, path), 'utf8');
  return [...text.matchAll(BLOCK)].map(([, name, language = '', code = '']) => ({ name, language, code }));
}
