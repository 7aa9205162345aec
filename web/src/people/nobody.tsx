import type { ProfileState, ProfileStore } from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';

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
        {missing ? `There is no @${username}` : `@${username}`}
      </h1>
      {missing && <p class="muted">Nobody here has this name, or not any more.</p>}
      {error && (
        <p class="trouble" role="alert">
          {sentenceOf(error)}{' '}
          <button type="button" class="link" onClick={() => void store.load()}>
            Try again
          </button>
        </p>
      )}
    </section>
  );
}
