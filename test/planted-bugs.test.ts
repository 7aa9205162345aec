import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../server/paths.ts';
import { bugs } from './faults/bugs.ts';
import { stopBugs } from './fuzz/stops/bugs.ts';
import { modelBugs } from './model/bugs.ts';

// Each is looked for by a slow test on one day of eight; that it can still be planted is seen at once.
describe('bugs that are planted to test the tests', () => {
  for (const [name, { patches }] of Object.entries({ ...bugs, ...stopBugs, ...modelBugs }))
    it(`fit the sources: ${name}`, async () => {
      for (const { file, find } of patches) {
        const source = await readFile(join(packageRoot, file), 'utf8');
        expect(source.split(find), `${file}: ${find}`).to.have.lengthOf(2);
      }
    });
});
