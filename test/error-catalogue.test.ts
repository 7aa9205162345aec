import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { problems } from '../server/errors.ts';
import { packageRoot } from '../server/paths.ts';

describe('the catalogue of errors', () => {
  it('has every problem of the service with its status, in the order of the status', async () => {
    const text = await readFile(join(packageRoot, 'docs', 'errors.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `(\w+)` +\| (\d{3}) /gm)].map(([, code, status]) => [
      code,
      Number(status),
    ]);
    expect(rows).to.deep.equal(Object.entries(problems).map(([code, [status]]) => [code, status]));
  });
});
