import { randomBytes } from 'node:crypto';
import { link, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../async/make-folder.ts';

/** The minimum length of a secret. Bytes. */
const SHORTEST = 32;

/**
 * The signing key of a development machine: generated once and stored, so that a restart logs nobody out. If several
 * processes start at once, each generates one and all use the first that is linked into place as a complete file: a
 * file that is being written could be read empty, and an empty key can be guessed.
 * @throws if the stored key is too short
 */
export async function storedSecret(dataDir: string): Promise<string> {
  const file = join(dataDir, 'jwt-secret');
  return (await read(file)) ?? make(file, dataDir);
}

async function make(file: string, dataDir: string): Promise<string> {
  await makeFolder(dataDir);
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, randomBytes(48).toString('base64'), { flag: 'wx', mode: 0o600 });
  try {
    await link(draft, file).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
  } finally {
    await unlink(draft);
  }
  const secret = await read(file);
  if (secret === undefined) throw new Error(`${file} disappeared right after it was created`);
  return secret;
}

async function read(file: string): Promise<string | undefined> {
  let secret: string;
  try {
    secret = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (Buffer.byteLength(secret) >= SHORTEST) return secret;
  throw new Error(
    `${file} must hold at least ${SHORTEST} bytes but holds ${Buffer.byteLength(secret)}. Delete it to create a new key (this logs everybody out), or set JWT_SECRET`,
  );
}
