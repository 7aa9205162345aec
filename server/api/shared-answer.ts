import { digestOf } from '../preconditions.ts';
import { readPreconditions } from './preconditions.ts';
import { Json, Reply } from './route.ts';

/** For the `headers` of a route that gives shared answers. */
export const sharedPreconditions = {
  'If-None-Match': {
    ...readPreconditions['If-None-Match'],
    description:
      'Respond 304 if one of these tags still matches. Answers without an access token have an `ETag`',
  },
};

/**
 * The answer to a request without an access token, the same for all of them: caches may share it. They ask each time
 * whether it still holds, since what is deleted or removed must be gone at once.
 * @param text of the answer, as JSON
 */
export function sharedAnswer(text: string | Buffer, headers: Record<string, string> = {}): Reply {
  return new Reply(new Json(text), {
    headers: { ...headers, 'Cache-Control': 'public, no-cache', ETag: `"${digestOf(text)}"` },
  });
}
