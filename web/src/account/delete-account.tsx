import type { OwnUser } from 'tidings-client';
import { useRef, useState } from 'preact/hooks';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { ownPassword } from './own-password.ts';
import { rememberAccount } from './visited.ts';

/** Deletes the account, with its password and when asked twice. */
export function DeleteAccount({ me }: { me: OwnUser }) {
  const [asking, setAsking] = useState(false);
  const answer = useRef<(yes: boolean) => void>(() => undefined);

  const remove = async ({ password }: Record<string, string>) => {
    setAsking(true);
    const yes = await new Promise<boolean>((resolve) => (answer.current = resolve));
    setAsking(false);
    if (!yes) return;
    // The form of who has no account is drawn as soon as the session has ended.
    rememberAccount(false);
    try {
      await service.deleteMe(password);
    } catch (error) {
      rememberAccount(true);
      throw error;
    }
    notify(say('ending.done'));
  };

  return (
    <section class="ending">
      <h2>{say('ending.title')}</h2>
      <p>
        <Said of="ending.what" final={<strong>{say('ending.final')}</strong>} />
      </p>
      <AccountForm
        title={say('ending.title')}
        login={me.email}
        verb={say('ending.verb')}
        danger
        passwordField="password"
        fields={ownPassword(me)}
        run={remove}
      />
      {asking && (
        <Confirmation
          question={say('ending.ask')}
          detail={say('ending.all')}
          verb={say('ending.yes')}
          onAnswer={(yes) => answer.current(yes)}
        />
      )}
    </section>
  );
}
