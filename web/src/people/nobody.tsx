import type { TidingsError } from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import { Trouble } from '../chrome/trouble.tsx';
import { Skeleton } from '../feed/skeleton.tsx';
import { say } from '../languages/say.ts';

interface NobodyProps {
  username: string;
  missing: boolean;
  error: TidingsError | undefined;
  /** Reads the user again. */
  again: () => void;
}

/** In place of a user who has not been read yet, is not there, or could not be read. */
export function Nobody({ username, missing, error, again }: NobodyProps) {
  return (
    <section>
      {/* Another heading takes its place as soon as the user has been read: it is not to have the focus until then. */}
      <h1 class="place-title" tabIndex={missing || error ? -1 : undefined}>
        {missing ? say('people.missing', { name: username }) : `@${username}`}
      </h1>
      {missing && <p class="muted">{say('people.missingWhy')}</p>}
      {!missing && !error && <Skeleton />}
      {error && <Trouble again={again}>{sentenceOf(error)}</Trouble>}
    </section>
  );
}
