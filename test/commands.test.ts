import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../server/paths.ts';

/** Programs of others in package.json, with options of their own. */
const OTHERS = ['vite', 'oxlint', 'prettier', 'knip', 'mocha', 'npm', 'tsx watch'];

const { scripts } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

/** The arguments with which Node runs the source of a command: by itself, compiled or not. */
function programOf(script: string): string[] {
  const [, program = '', ...args] = script
    .replace('node scripts/build-if-stale.js && ', '')
    .replace(/^tsx /, 'node ')
    .replace(' --import=tsx', '')
    .replace(/ dist\/(\S+)\.js/, ' $1.ts')
    .split(' ');
  return [...(program.endsWith('.ts') ? ['--import', 'tsx'] : []), program, ...args];
}

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

const run = (args: string[]) =>
  new Promise<Ended>((resolve) => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME };
    const child = execFile(process.execPath, args, { cwd: packageRoot, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });

describe('The commands of npm run', () => {
  // What runs before another one is given no arguments.
  const names = Object.keys(scripts).filter(
    (name) => !name.startsWith('pre') && !OTHERS.some((other) => `${scripts[name]} `.startsWith(`${other} `)),
  );

  it('are known', () => {
    expect(names).to.include.members([
      'start',
      'doctor',
      'admin',
      'invite',
      'fill',
      'db:migrate',
      'test',
      'build',
    ]);
  });

  for (const name of names)
    it(`tell their usage, on demand and for an option that there is not: ${name}`, async () => {
      const program = programOf(scripts[name] ?? '');
      const [asked, wrong] = await Promise.all([
        run([...program, '--help']),
        run([...program, '--no-such-option']),
      ]);
      expect(asked.stdout).to.match(new RegExp(`^Usage: npm (?:run )?${name}\\b`));
      expect({ code: asked.code, stderr: asked.stderr }).to.deep.equal({ code: 0, stderr: '' });
      expect(wrong.stderr)
        .to.match(/no-such-option/)
        .and.to.include(asked.stdout.trim());
      expect({ code: wrong.code, stdout: wrong.stdout }).to.deep.equal({ code: 2, stdout: '' });
    });
});
