/**
 * Signals at which a process ends in order: asked to (SIGTERM; SIGPWR by LXC), Ctrl-C, Ctrl-\, a closed terminal. Unhandled,
 * each would end the process on the spot, with its clients cut off and its embedded database left running. SIGUSR1 and
 * SIGUSR2 are left to Node's diagnostics, such as `--heapsnapshot-signal`.
 */
export const STOP_SIGNALS: readonly NodeJS.Signals[] = [
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGHUP',
  ...(process.platform === 'linux' ? (['SIGPWR'] as const) : []),
];
