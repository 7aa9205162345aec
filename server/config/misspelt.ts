import { distance } from 'fastest-levenshtein';

/** From this length on a name may have two slips. */
const LONG_NAME = 8;

/**
 * A sentence for each variable that is no setting but looks like one that is not set: `DATABASE_URI` would leave the service on
 * its embedded database without a word.
 * @param settings the names of all
 */
export function misspelt(env: NodeJS.ProcessEnv, settings: readonly string[]): string[] {
  const unset = settings.filter((name) => env[name] === undefined);
  return Object.keys(env)
    .filter((given) => !settings.includes(given))
    .flatMap((given) => {
      const meant = unset.find((name) => isSlipOf(given.toUpperCase(), name));
      return meant === undefined ? [] : [`${given} is not a setting of Tidings: is ${meant} meant?`];
    });
}

/** In one word, two slips must not be half of it: `DATABASE_PORT` is no misspelt `DATABASE_POOL`, but a setting of others. */
function isSlipOf(given: string, name: string): boolean {
  const [words, meant] = [given.split('_'), name.split('_')];
  const most = name.length < LONG_NAME ? 1 : 2;
  if (words.length !== meant.length) return distance(given, name) <= most;
  const slips = meant.map((word, at) => slipsBetween(words[at] ?? '', word));
  return (
    slips.reduce((sum, count) => sum + count) <= most &&
    meant.every((word, at) => (slips[at] ?? 0) <= Math.max(1, word.length / 3))
  );
}

/** Two letters in each other's place are one slip. */
function slipsBetween(given: string, word: string): number {
  const letters = (text: string) => Array.from(text).sort().join('');
  const count = distance(given, word);
  return count === 2 && letters(given) === letters(word) ? 1 : count;
}
