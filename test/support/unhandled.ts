/**
 * A promise that is rejected with nobody looking fails the run. mocha only hands such a rejection on to the process's other
 * listeners, and passes when there is none; thrown from there, it would end the run on the spot and leave servers behind.
 */
const rejections: string[] = [];
const seen = new Set<unknown>();
let running = '(before the first test)';

function report(reason: unknown): void {
  if (seen.has(reason)) return; // mocha emits it once more
  seen.add(reason);
  const what = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
  rejections.push(`during "${running}": ${what}`);
  console.error(`Unhandled rejection during "${running}":`, reason);
  // One that comes after the last test fails no hook any more; mocha sets the exit code in a listener that is older than this.
  process.once('exit', () => (process.exitCode = 1));
}

export const mochaHooks = {
  beforeAll(): void {
    process.on('unhandledRejection', report);
  },
  beforeEach(this: Mocha.Context): void {
    running = this.currentTest?.fullTitle() ?? running;
  },
  afterAll(): void {
    if (rejections.length > 0) throw new Error(`Unhandled rejections:\n${rejections.join('\n')}`);
  },
};
