import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, giveTo } from './account.ts';

/** A password that is kept in the folder of the embedded database; undefined when its file was lost. */
export async function readPassword(place: string, name: string): Promise<string | undefined> {
  const text = await readFile(join(place, name), 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text.trim();
}

/** Keeps a password where only `account` can read it. @returns its file */
export async function writePassword(
  place: string,
  account: Account | undefined,
  password: string,
  name: string,
): Promise<string> {
  const file = join(place, name);
  const draft = `${file}.new`;
  await writeFile(draft, `${password}\n`, { mode: 0o600, flush: true });
  await giveTo(account, draft);
  await rename(draft, file);
  return file;
}
