import { type Signal, signal } from '@preact/signals';
import { type PublicUser, TidingsError } from 'tidings-client';
import { sentenceOf } from '../chrome/sentence.ts';
import { service } from '../service.ts';

type State = { user: PublicUser } | { loading: true } | { missing: true } | { trouble: string };

/** What everyone may see of a user, and what they are to the reader. */
export class Profile {
  readonly username: string;
  readonly state: Signal<State> = signal({ loading: true });

  constructor(username: string) {
    this.username = username;
    void this.load();
  }

  /** Loads it, or loads it again: what is shown stays until then. */
  async load(): Promise<void> {
    try {
      this.state.value = { user: await service.users.byName(this.username) };
    } catch (error) {
      const { code } = error as Partial<TidingsError>;
      const nobody = error instanceof TidingsError && (code === 'not_found' || code === 'invalid');
      this.state.value = nobody ? { missing: true } : { trouble: sentenceOf(error) };
    }
  }
}
