import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { packageRoot } from '../../server/paths.ts';
import { compiledProgram } from './compiled-service.ts';
import { heldLog } from './held-log.ts';
import { lineReader } from './node-process.ts';
import { until } from './waiting.ts';

/** The service as a process of its own, with what it has said. */
export interface Program {
  /** Where it listens, from its ready line. Empty until then. */
  url: string;
  stdout: string;
  stderr: string;
  /** Undefined while it runs; null if a signal ended it. */
  code: number | null | undefined;
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to stop, and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts the compiled service with these variables and none of ours. Not yet ready when this returns.
 * @param more code that runs in the process before it, to provoke what cannot be provoked from outside
 */
export function startProgram(env: NodeJS.ProcessEnv, more?: string): Program {
  const imports = more === undefined ? [] : [`--import=data:text/javascript,${encodeURIComponent(more)}`];
  const child = spawn(process.execPath, [...imports, compiledProgram('server/main.ts')], {
    cwd: packageRoot,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const program: Program = {
    url: '',
    stdout: '',
    stderr: '',
    code: undefined,
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    stop: async () => {
      if (program.code !== undefined) return;
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    },
  };
  child.stdout.on('data', (chunk: Buffer) => {
    program.stdout += chunk.toString();
    program.url ||= /^Tidings is ready at (\S+)$/m.exec(program.stdout)?.[1] ?? '';
  });
  child.stderr.on('data', (chunk: Buffer) => (program.stderr += chunk.toString()));
  for (const stream of [child.stdout, child.stderr])
    stream.on(
      'data',
      lineReader((line) => heldLog.read(line)),
    );
  child.once('close', (code) => (program.code = code));
  return program;
}

/** Waits for the ready line. @throws with what it said instead, if it has ended before */
export async function ready(program: Program, within = 120_000): Promise<void> {
  await until('the program to be ready', () => program.url !== '' || program.code !== undefined, within);
  if (program.url === '') throw new Error(`ended with ${program.code}: ${program.stderr}`);
}

/** Waits for its end. */
export async function ended(program: Program): Promise<void> {
  await until('the program to end', () => program.code !== undefined, 120_000);
}
