import type { OwnUser } from 'tidings-client';
import { useRef, useState } from 'preact/hooks';
import { Confirmation } from '../chrome/confirmation.tsx';
import { notify } from '../chrome/notices.tsx';
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
    notify('Your account is deleted, with everything in it.');
  };

  return (
    <section class="ending">
      <h2>Delete the account</h2>
      <p>
        Your posts go from everyone’s page, your drafts and votes with them. Nobody else can have your name
        for 90 days. <strong>This cannot be undone.</strong>
      </p>
      <AccountForm
        title="Delete the account"
        login={me.email}
        verb="Delete my account"
        danger
        passwordField="password"
        fields={ownPassword(me)}
        run={remove}
      />
      {asking && (
        <Confirmation
          question="Delete your account for good?"
          detail="All your posts, drafts and votes go with it."
          verb="Delete everything"
          onAnswer={(yes) => answer.current(yes)}
        />
      )}
    </section>
  );
}
