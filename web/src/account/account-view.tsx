import type { OwnUser } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { PlaceLink } from '../places/place-link.tsx';
import { service } from '../service.ts';
import { changedTo } from './account.ts';
import { AccountForm } from './account-form.tsx';
import { ExportAccount } from './export-account.tsx';
import { DeleteAccount } from './delete-account.tsx';
import { EmailState } from './email-state.tsx';
import { Identities } from './identities.tsx';
import { ownPassword } from './own-password.ts';
import { SecondFactor } from './second-factor.tsx';
import { Sessions } from './sessions.tsx';

/** What one can change about oneself: each with its own form, so that a fault in one keeps nobody from another. */
export function AccountView({ me }: { me: OwnUser }) {
  const currentPassword = ownPassword(me, 'current_password', 'Current password');
  const rename = async ({ username = '' }: Record<string, string>) => {
    changedTo(await service.updateMe({ username: username.trim() }));
    notify('Your name is changed, also on your existing posts.');
  };
  const describe = async ({ bio = '' }: Record<string, string>) => {
    changedTo(await service.updateMe({ bio: bio.trim() }));
    notify('What you say about yourself is changed.');
  };
  const changeEmail = async ({ email = '', current_password }: Record<string, string>) => {
    const changed = await service.updateMe({
      email: email.trim(),
      ...(current_password === undefined ? {} : { current_password }),
    });
    changedTo(changed);
    notify(
      changed.pending_email === null
        ? 'Your e-mail address is changed. You log in with it from now on.'
        : `A mail with a link is on its way to ${changed.pending_email}.`,
    );
  };
  const changePassword = async ({ password = '', current_password }: Record<string, string>) => {
    changedTo(
      await service.updateMe({ password, ...(current_password === undefined ? {} : { current_password }) }),
    );
    notify('Your password is changed. Everywhere else you are logged out.');
  };

  return (
    <section class="settings" aria-labelledby="account-title">
      <h1 id="account-title" class="place-title" tabIndex={-1}>
        Your account
      </h1>
      <section>
        <h2>Name</h2>
        <AccountForm
          title="Name"
          verb="Change the name"
          fields={[
            {
              name: 'username',
              label: 'Name',
              type: 'text',
              autocomplete: 'nickname',
              hint: 'Shown with your posts. Letters, digits, dots and dashes.',
              given: me.username,
            },
          ]}
          run={rename}
        />
      </section>
      <section>
        <h2>About you</h2>
        <AccountForm
          title="About you"
          verb="Save"
          fields={[
            {
              name: 'bio',
              label: 'A few words',
              type: 'lines',
              autocomplete: 'off',
              hint: 'On your page, for everyone. At most 500 characters.',
              given: me.bio,
            },
          ]}
          run={describe}
        />
      </section>
      <section>
        <h2>E-mail</h2>
        <EmailState me={me} />
        <AccountForm
          title="E-mail"
          verb="Change the address"
          passwordField="current_password"
          fields={[
            {
              name: 'email',
              label: 'E-mail',
              type: 'email',
              autocomplete: 'username',
              hint: 'Shown to nobody; you log in with it.',
              given: me.email,
            },
            ...currentPassword,
          ]}
          run={changeEmail}
        />
      </section>
      <section>
        <h2>Password</h2>
        <AccountForm
          title="Password"
          login={me.email}
          verb="Change the password"
          passwordField="current_password"
          fields={[
            ...currentPassword,
            {
              name: 'password',
              label: 'New password',
              type: 'password',
              autocomplete: 'new-password',
              hint: 'At least 8 characters. It logs you out everywhere else.',
            },
          ]}
          run={changePassword}
        />
      </section>
      <SecondFactor me={me} />
      <Identities me={me} />
      <Sessions />
      <section>
        <h2>Blocked and muted</h2>
        <p class="muted">
          Whom you have <PlaceLink to={{ name: 'kept-away', list: 'blocks' }}>blocked</PlaceLink> or{' '}
          <PlaceLink to={{ name: 'kept-away', list: 'mutes' }}>muted</PlaceLink>, and the way to end it.
        </p>
      </section>
      <ExportAccount />
      <DeleteAccount me={me} />
    </section>
  );
}
