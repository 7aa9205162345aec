import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../server/paths.ts';

/** A server that was started here, and whose processes can be looked at. */
export interface LocalServer {
  url: string;
  pid: number;
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<void>;
}

const READY = / is ready at (\S+)/;
const READY_WITHIN = 90_000;
const STOP_WITHIN = 15_000;

/**
 * Starts the real server as a process of its own, on a free port of this machine.
 * @param env what differs from a server that is started by hand
 * @param nodeOptions for the process, beside our own
 * @param build the folder of another build of Tidings, whose server is started in place of ours
 * @throws with the end of its output if it does not become ready
 */
export function startLocalServer(
  env: Record<string, string>,
  nodeOptions: readonly string[] = [],
  build?: string,
): Promise<LocalServer> {
  const settings = { PORT: '0', LOG_LEVEL: 'warn', ...env };
  return build === undefined
    ? startProgram('../server/main', settings, nodeOptions)
    : startFile(join(build, 'dist/server/main.js'), settings, nodeOptions, build);
}

/**
 * Starts a server that says where it is ready, as ours does.
 * @param program its path from here, without the extension
 */
export function startProgram(
  program: string,
  env: Record<string, string>,
  nodeOptions: readonly string[] = [],
): Promise<LocalServer> {
  const file = fileURLToPath(new URL(`${program}${extname(import.meta.filename)}`, import.meta.url));
  return startFile(file, env, nodeOptions, packageRoot);
}

async function startFile(
  file: string,
  env: Record<string, string>,
  nodeOptions: readonly string[],
  folder: string,
): Promise<LocalServer> {
  const child = spawn(process.execPath, [...process.execArgv, ...nodeOptions, file], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stopWithUs = () => child.kill('SIGTERM');
  process.once('exit', stopWithUs);
  const exited = once(child, 'exit').then(() => process.removeListener('exit', stopWithUs));
  const url = await readyLine(child);
  return {
    url,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN);
      await exited;
      clearTimeout(timer);
    },
  };
}

function readyLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (why: string) => reject(new Error(`the server ${why}:\n${output.slice(-2000)}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('was not ready in time');
    }, READY_WITHIN);
    const look = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
      const url = READY.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(`ended with ${code ?? 'a signal'} before it was ready`);
    });
  });
}
