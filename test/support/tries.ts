import { AssertionError } from 'chai';

/**
 * Does something again that has failed, three times at most: what one process leaves to another within a time limit is otherwise
 * where the machine stands still for longer than that. What is wrong fails each time.
 */
export async function inOneTry(once: () => Promise<void>): Promise<void> {
  for (let tries = 1; tries < 3; tries += 1) {
    try {
      await once();
      return;
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
    }
  }
  await once();
}
