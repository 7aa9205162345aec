import { lstat, mkdtemp, realpath, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../async/make-folder.ts';
import { type Account, canEnter } from './account.ts';
import { EmbeddedUnavailable, USE_DATABASE_URL } from './unavailable.ts';

/** Where the data of root's Tidings live when PostgreSQL's account can't get into DATA_DIR. */
const ELSEWHERE = '/var/lib/tidings';

/**
 * Makes `<dataDir>/postgres` and answers with its real path: all that the embedded database keeps is in there (the
 * cluster, its passwords, its log, who owns it). Whose it becomes is `settle`'s.
 *
 * Under root a project in a home of mode 0700 can't be entered by PostgreSQL's account. Opening the home would be a breach, and
 * /tmp is emptied at boot; so the folder is then made under /var/lib/tidings and `<dataDir>/postgres` is a link to it.
 * (Under a random name, so that removing DATA_DIR and starting again gives an empty database here as everywhere.)
 */
export async function preparePlace(dataDir: string, account: Account | undefined): Promise<string> {
  await makeFolder(dataDir);
  const folder = await realpath(dataDir); // the account's question is asked from another working directory
  const place = join(folder, 'postgres');
  const existing = await lstat(place).catch(() => undefined);

  if (existing?.isSymbolicLink() === true) {
    const target = await realpath(place).catch(() => undefined);
    if (target === undefined) {
      throw new EmbeddedUnavailable(
        `${place} is a link to the database's real place, which is missing. ` +
          `Bring it back, or remove the link to begin with an empty database. ${USE_DATABASE_URL}`,
      );
    }
    return target;
  }
  if (account === undefined || canEnter(account, folder)) {
    await makeFolder(place, 0o700);
    return place;
  }

  await makeFolder(ELSEWHERE);
  const away = await mkdtemp(join(ELSEWHERE, 'data-'));
  if (existing !== undefined) await moveAway(place, away);
  await symlink(away, place);
  return away;
}

/** The home was closed after the database had been made in it. */
async function moveAway(place: string, away: string): Promise<void> {
  try {
    await rename(place, away);
  } catch (error) {
    throw new EmbeddedUnavailable(
      `PostgreSQL's user can't get into ${place}, and moving it to ${away} failed. Move it there yourself, ` +
        `or choose a DATA_DIR that other users can enter. ${USE_DATABASE_URL}`,
      { cause: error },
    );
  }
}
