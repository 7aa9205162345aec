import type { ProfileState, ProfileStore } from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import { Trouble } from '../chrome/trouble.tsx';
import { say } from '../languages/say.ts';

interface NobodyProps {
  username: string;
  store: ProfileStore;
  state: ProfileState;
}

/** In place of a user who has not been read yet, is not there, or could not be read. */
export function Nobody({ username, store, state: { missing, error } }: NobodyProps) {
  return (
    <section>
      <h1 class="place-title" tabIndex={-1}>
        {missing ? say('people.missing', { name: username }) : `@${username}`}
      </h1>
      {missing && <p class="muted">{say('people.missingWhy')}</p>}
      {error && <Trouble again={() => void store.load()}>{sentenceOf(error)}</Trouble>}
    </section>
  );
}
