import { expect } from 'chai';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createMetrics } from '../server/ops/metrics.ts';
import { packageRoot } from '../server/paths.ts';

describe('what SECURITY.md says', () => {
  let text: string;
  /** The rows of its table of defences: against what, and the tests that are to prove it. */
  let defences: (readonly [against: string, proofs: string[]])[];
  before(async () => {
    text = await readFile(join(packageRoot, 'SECURITY.md'), 'utf8');
    defences = [...text.matchAll(/^\| *([^|]+?) *\|[^|]+\|([^|]+)\|$/gm)]
      .map(([, against = '', proofs = '']) => [against, proofs] as const)
      .filter(([against]) => against !== 'Against' && !against.startsWith('--'))
      .map(([against, proofs]) => [against, [...proofs.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)]);
  });

  it('is proved, each of it, by a test that there is', () => {
    expect(defences).to.have.length.above(20);
    for (const [against, proofs] of defences) {
      expect(proofs, against).not.to.be.empty;
      for (const proof of proofs) {
        // What is run after the others is named with its folder.
        const file = proof.includes('/') ? `test/${proof}.ts` : `test/${proof}.test.ts`;
        expect(existsSync(join(packageRoot, file)), `${file}, against ${against}`).to.be.true;
      }
    }
  });

  it('is counted, by metrics that there are', () => {
    const known = createMetrics()
      .registry.getMetricsAsArray()
      .map(({ name }) => name);
    const named = text.match(/\btidings_\w+/g) ?? [];
    expect(named).not.to.be.empty;
    expect(known).to.include.members(named);
  });
});
