import { createHash } from 'node:crypto';

/**
 * Every line that the service logs in a run, at the most talkative level, is searched for secrets: those that the tests made, and
 * whatever has the form of one. A line that holds one fails the run.
 */

const FORMS: readonly [what: string, form: RegExp][] = [
  ['an access token', /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/],
  ['the hash of a password', /\$2[aby]\$\d\d\$[\w./]*/],
  // What may not stand in such a URL ends it, or a line of JSON would be one.
  ['a URL with a password', /:\/\/[^/\s:"@]*:[^@\s/"]+@/],
];
/** What may be a refresh token (in base64url) or its hash in hexadecimal, and the length of either. */
const CANDIDATE = /[\w-]{43,}/g;
const LENGTHS = [108, 64];

/**
 * What is notified of a run in which everything is wrong, how much of a line is shown, and how many candidates are
 * kept.
 */
const MANY = 20;
const LONG = 400;
const KEPT = 20_000;

/** One log, read as it is written. */
export class HeldLog {
  readonly #passwords = new Set<string>();
  readonly #tokens = new Set<string>();
  /** A token may be logged before the one it is for knows it: what could be one is compared at the end. */
  readonly #candidates = new Map<string, string>();
  readonly #faults = new Set<string>();
  #running = '(before the first test)';

  /** From here on it is this test’s. */
  during(title: string): void {
    this.#running = title;
  }

  /** Somebody’s password, and what a login gave them. */
  keep({ password, refreshToken }: { password: string; refreshToken: string }): void {
    this.#passwords.add(password);
    this.#tokens.add(refreshToken).add(createHash('sha256').update(refreshToken).digest('hex'));
  }

  /** One line was logged. */
  read(line: string): void {
    for (const [what, form] of FORMS) if (form.test(line)) this.#add(`${what} ${this.#told(line)}`);
    for (const password of this.#passwords)
      if (line.includes(password)) this.#add(`a password ${this.#told(line)}`);
    for (const [candidate] of line.matchAll(CANDIDATE))
      if (this.#candidates.size < KEPT) this.#candidates.set(candidate, this.#told(line));
  }

  /** What was found so far, each in a sentence that holds no secret. */
  faults(): string[] {
    for (const [candidate, told] of this.#candidates)
      for (const length of LENGTHS)
        for (let at = 0; at + length <= candidate.length; at += 1)
          if (this.#tokens.has(candidate.slice(at, at + length))) this.#add(`a refresh token ${told}`);
    return [...this.#faults];
  }

  /** Which line it was, and when, without anything that is or may be a secret. */
  #told(line: string): string {
    let masked = line.trimEnd();
    for (const [, form] of FORMS) masked = masked.replaceAll(new RegExp(form, 'g'), '[found]');
    for (const password of this.#passwords) masked = masked.replaceAll(password, '[found]');
    return `during "${this.#running}": ${masked.replaceAll(CANDIDATE, '[found]').slice(0, LONG)}`;
  }

  #add(fault: string): void {
    if (this.#faults.size < MANY) this.#faults.add(fault);
  }
}

/** The log of this run: of the nodes in this process and of those that are processes of their own. */
export const heldLog = new HeldLog();

export const mochaHooks = {
  beforeEach(this: Mocha.Context): void {
    heldLog.during(this.currentTest?.fullTitle() ?? '');
  },
  afterAll(): void {
    const faults = heldLog.faults();
    if (faults.length > 0) throw new Error(`Secrets in the log:\n${faults.join('\n')}`);
  },
};
