import { expect } from 'chai';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storedSecret } from '../server/auth/stored-secret.ts';

describe('the signing key that is made and kept', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidings-secret-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is one, and whole, for all that start at once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const dataDir = join(folder, String(round));
      const secrets = await Promise.all(Array.from({ length: 16 }, () => storedSecret(dataDir)));
      expect(new Set(secrets).size).to.equal(1);
      expect(secrets[0]).to.have.length(64);
      expect(await storedSecret(dataDir)).to.equal(secrets[0]);
      expect(await readdir(dataDir)).to.deep.equal(['jwt-secret']);
      expect((await stat(join(dataDir, 'jwt-secret'))).mode & 0o777).to.equal(0o600);
    }
  });

  it('is refused if it is too short to be one', async () => {
    for (const kept of ['', '\n', 'x'.repeat(31)]) {
      await writeFile(join(folder, 'jwt-secret'), kept);
      const error = await storedSecret(folder).then(
        () => undefined,
        (reason: unknown) => reason as Error,
      );
      expect(error?.message).to.match(/jwt-secret must hold at least 32 bytes but holds \d+\. Delete it/);
    }
  });
});
