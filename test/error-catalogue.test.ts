import { expect } from 'chai';
import { readdir, readFile } from 'node:fs/promises';
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

  it('has none that the service never answers with', async () => {
    const folder = join(packageRoot, 'server');
    const files = (await readdir(folder, { recursive: true })).filter(
      (name) => name.endsWith('.ts') && name !== 'errors.ts' && !name.startsWith('docs'),
    );
    const sources = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
    const source = sources.join('\n');
    expect(Object.keys(problems).filter((code) => !source.includes(`'${code}'`))).to.be.empty;
  });
});
