import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** As short as a secret may be. Bytes. */
const SHORTEST = 32;

/**
 * The signing key of a development machine: made once and kept, so that a restart logs nobody out. Of several processes that
 * start at once each makes one, and all take that which comes to stand there first, whole: a file that is being written
 * could be read empty, and whoever did that would sign with a key that everybody can guess.
 * @throws if the key that is kept is too short to be one
 */
export async function storedSecret(dataDir: string): Promise<string> {
  const file = join(dataDir, 'jwt-secret');
  return (await read(file)) ?? make(file, dataDir);
}

async function make(file: string, dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
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
