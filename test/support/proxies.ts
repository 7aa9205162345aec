import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../server/database/embedded/postmaster.ts';
import { packageRoot } from '../../server/paths.ts';
import { type Binary, systemBinary } from './system-binary.ts';
import { until } from './waiting.ts';

const run = promisify(execFile);

/** A reverse proxy that runs one of the files in `deploy/` in front of two nodes. */
export interface RunningProxy {
  name: string;
  url: string;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** How one proxy is started from its file in `deploy/`. */
export interface Recipe {
  name: string;
  /** The files that it is, in `deploy/`; they are copied to its folder under these names. */
  files: string[];
  binary: { names: string[]; packages: string[]; hint: string };
  /** What belongs to the test and not to the file, such as a place for its process id, as more files by name. */
  extra?: (folder: string) => Record<string, string>;
  /** Changes of the text that a machine without root needs. */
  adapt?: (text: string, folder: string) => string;
  /** What the folder of its modules may be called, below `/usr/lib`. */
  modules?: string[];
  args: (folder: string, port: number, modules: string) => string[];
  env?: (folder: string) => Record<string, string>;
  /** Whether a read that was on a node when it died is sent to another node: not all of them can. */
  repeatsReads: boolean;
  /** Checks the file alone. Default: it is not checked before it is started. */
  check?: (folder: string, modules: string) => string[];
}

const hint = (name: string) => `Install it with: apt-get install -y ${name}   (macOS: brew install ${name})`;

const APACHE_MODULES = [
  'mpm_event',
  'authz_core',
  'proxy',
  'proxy_http',
  'proxy_balancer',
  'lbmethod_bybusyness',
  'slotmem_shm',
  'headers',
  'rewrite',
  'reqtimeout',
];

/** Every recipe that Debian has a package for. */
export const recipes: Recipe[] = [
  {
    name: 'nginx',
    repeatsReads: true,
    files: ['nginx.conf', 'tidings-nodes.conf'],
    binary: { names: ['nginx'], packages: ['nginx'], hint: hint('nginx') },
    adapt: (text, folder) =>
      text
        .replace('pid /var/run/nginx.pid;', `pid ${join(folder, 'nginx.pid')};`)
        .replace('/dev/stderr', join(folder, 'error.log'))
        .replace('/dev/stdout', join(folder, 'access.log'))
        .replace(
          'http {',
          ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].reduce(
            (lines, name) => `${lines} ${name}_temp_path ${join(folder, name)};`,
            'http {',
          ),
        ),
    args: (folder) => nginxArgs(folder),
    check: (folder) => ['-t', ...nginxArgs(folder)],
  },
  {
    name: 'haproxy',
    repeatsReads: true,
    files: ['haproxy.cfg'],
    binary: { names: ['haproxy'], packages: ['haproxy'], hint: hint('haproxy') },
    args: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
    check: (folder) => ['-c', '-f', join(folder, 'haproxy.cfg')],
  },
  {
    name: 'apache',
    repeatsReads: false,
    files: ['apache.conf'],
    binary: { names: ['apache2', 'httpd'], packages: ['apache2-bin'], hint: hint('apache2') },
    modules: ['apache2/modules', 'httpd/modules'],
    extra: (folder) => ({
      'httpd.conf': [
        `ServerRoot "${folder}"`,
        ...APACHE_MODULES.map((name) => `LoadModule ${name}_module MODULES/mod_${name}.so`),
        'ServerName 127.0.0.1',
        `PidFile ${join(folder, 'httpd.pid')}`,
        `ErrorLog ${join(folder, 'error.log')}`,
        `DefaultRuntimeDir ${folder}`,
        `Mutex file:${folder} default`,
        'Listen 8080',
        ...(process.getuid?.() === 0 ? ['User daemon', 'Group daemon'] : []),
        `Include ${join(folder, 'apache.conf')}`,
      ].join('\n'),
    }),
    args: (folder) => ['-D', 'FOREGROUND', '-f', join(folder, 'httpd.conf')],
    check: (folder) => ['-t', '-f', join(folder, 'httpd.conf')],
  },
  {
    name: 'caddy',
    repeatsReads: true,
    files: ['Caddyfile'],
    binary: { names: ['caddy'], packages: ['caddy'], hint: hint('caddy') },
    // Its interface for administration has a port of its own.
    adapt: (text) => `{\n\tadmin off\n\tgrace_period 1s\n}\n${text}`,
    args: (folder) => ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
    env: (folder) => ({ HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }),
  },
  {
    name: 'varnish',
    repeatsReads: true,
    files: ['varnish.vcl'],
    binary: { names: ['varnishd'], packages: ['varnish'], hint: hint('varnish') },
    // -j none: it runs as who started it.
    modules: ['varnish/vmods'],
    args: (folder, port, modules) => [
      ...['-F', '-j', 'none', '-n', join(folder, 'state'), '-s', 'default,16m'],
      ...['-a', `127.0.0.1:${port}`, '-f', join(folder, 'varnish.vcl')],
      ...[
        '-p',
        `vmod_path=${modules}`,
        '-p',
        'pipe_timeout=90',
        '-p',
        'timeout_idle=65',
        '-p',
        'thread_pool_max=5000',
      ],
    ],
  },
  {
    name: 'lighttpd',
    repeatsReads: false,
    files: ['lighttpd.conf'],
    binary: { names: ['lighttpd'], packages: ['lighttpd'], hint: hint('lighttpd') },
    adapt: (text, folder) => `${text}\nserver.bind = "127.0.0.1"\nserver.upload-dirs = ("${folder}")\n`,
    modules: ['lighttpd'],
    args: (folder, _, modules) => ['-D', '-m', modules, '-f', join(folder, 'lighttpd.conf')],
    check: (folder, modules) => ['-tt', '-m', modules, '-f', join(folder, 'lighttpd.conf')],
  },
];

function nginxArgs(folder: string): string[] {
  return [
    '-p',
    folder,
    '-c',
    join(folder, 'nginx.conf'),
    '-e',
    join(folder, 'error.log'),
    '-g',
    'daemon off;',
  ];
}

/**
 * Starts one on a free port of 127.0.0.1, from its file as it stands in `deploy/` but for the two nodes' ports and its own.
 * @param nodes the ports of the two nodes
 * @throws with its output if it refuses the file or does not listen
 */
export async function startProxy(recipe: Recipe, nodes: readonly [number, number]): Promise<RunningProxy> {
  const binary = await systemBinary(recipe.binary);
  const folder = await mkdtemp(join(tmpdir(), `tidings-${recipe.name}-`));
  await chmod(folder, 0o777); // some give their root rights up first
  await mkdir(join(folder, 'state'));
  const port = await freePort();
  const modules = recipe.modules ? await modulesOf(binary, recipe.modules) : '';
  const here = (text: string) =>
    text
      .replaceAll('10.0.0.11:3000', `127.0.0.1:${nodes[0]}`)
      .replaceAll('10.0.0.12:3000', `127.0.0.1:${nodes[1]}`)
      .replaceAll(
        /(\.host = |"host" => )"10\.0\.0\.1([12])"(;\s+\.port = |, "port" => )"?3000"?/g,
        (_, ...parts) => {
          const [host, node, middle] = parts as [string, string, string];
          const address = node === '1' ? nodes[0] : nodes[1];
          return `${host}"127.0.0.1"${middle}${host.startsWith('.') ? `"${address}"` : address}`;
        },
      )
      .replace(/(listen|bind|Listen) :?8080/, (_, word: string) => `${word} 127.0.0.1:${port}`)
      .replace('<VirtualHost *:8080>', `<VirtualHost 127.0.0.1:${port}>`)
      .replace(/^:8080 \{/m, `http://127.0.0.1:${port} {`)
      .replace('server.port = 8080', `server.port = ${port}`);
  const extra = Object.entries(recipe.extra?.(folder) ?? {});
  for (const file of recipe.files) {
    const text = here(await readFile(join(packageRoot, 'deploy', file), 'utf8'));
    extra.push([file, recipe.adapt && file === recipe.files[0] ? recipe.adapt(text, folder) : text]);
  }
  for (const [file, text] of extra) {
    const whole = here(text).replaceAll('MODULES', modules);
    if (/10\.0\.0\.1|\b8080\b/.test(whole.replaceAll(/^\s*#.*$/gm, '')))
      throw new Error(`${file} has an address that the test does not know how to change`);
    await writeFile(join(folder, file), whole);
  }
  const env = { ...binary.env, ...recipe.env?.(folder) };
  if (recipe.check) await run(binary.path, recipe.check(folder, modules), { env });

  const child = spawn(binary.path, recipe.args(folder, port, modules), {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  await until(`${recipe.name} to pass a request on`, async () => {
    if (child.exitCode !== null) {
      const log = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
      throw new Error(`${recipe.name} ended: ${output}${log}`);
    }
    // Some listen before they have read all of their file.
    return fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ status }) => status === 200,
      () => false,
    );
  });
  return {
    name: recipe.name,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      process.removeListener('exit', killWithUs);
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * The folder with the modules of a program: of the private copy, or of the system.
 * @param names what the folder is called below `/usr/lib`, by different systems
 */
async function modulesOf(binary: Binary, names: readonly string[]): Promise<string> {
  const [root = ''] = binary.path.split(/\/usr\/s?bin\//);
  const libraries = join(root, '/usr/lib');
  const triplets = (await readdir(libraries)).filter((name) => name.includes('-linux-'));
  for (const name of names) {
    for (const folder of [libraries, ...triplets.map((triplet) => join(libraries, triplet))]) {
      const found = join(folder, name);
      if (await readdir(found).then(Boolean, () => false)) return found;
    }
  }
  throw new Error(`${binary.path} has no folder ${names.join(' or ')} in ${libraries}`);
}
