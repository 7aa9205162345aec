import type { OwnUser } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { AlertsSetting } from '../notifications/alerts-setting.tsx';
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
  const currentPassword = ownPassword(me, 'current_password', say('account.currentPassword'));
  const rename = async ({ username = '' }: Record<string, string>) => {
    changedTo(await service.updateMe({ username: username.trim() }));
    notify(say('account.nameDone'));
  };
  const describe = async ({ bio = '' }: Record<string, string>) => {
    changedTo(await service.updateMe({ bio: bio.trim() }));
    notify(say('account.bioDone'));
  };
  const changeEmail = async ({ email = '', current_password }: Record<string, string>) => {
    const changed = await service.updateMe({
      email: email.trim(),
      ...(current_password === undefined ? {} : { current_password }),
    });
    changedTo(changed);
    notify(
      changed.pending_email === null
        ? say('account.emailDone')
        : say('account.emailMailed', { email: changed.pending_email }),
    );
  };
  const changePassword = async ({ password = '', current_password }: Record<string, string>) => {
    changedTo(
      await service.updateMe({ password, ...(current_password === undefined ? {} : { current_password }) }),
    );
    notify(say('account.passwordDone'));
  };

  return (
    <section class="settings" aria-labelledby="account-title">
      <h1 id="account-title" class="place-title" tabIndex={-1}>
        {say('place.account')}
      </h1>
      <section>
        <h2>{say('account.name')}</h2>
        <AccountForm
          title={say('account.name')}
          verb={say('account.nameVerb')}
          fields={[
            {
              name: 'username',
              label: say('account.name'),
              type: 'text',
              autocomplete: 'nickname',
              hint: say('account.nameHint'),
              given: me.username,
            },
          ]}
          run={rename}
        />
      </section>
      <section>
        <h2>{say('account.about')}</h2>
        <AccountForm
          title={say('account.about')}
          verb={say('account.bioVerb')}
          fields={[
            {
              name: 'bio',
              label: say('account.bio'),
              type: 'lines',
              autocomplete: 'off',
              hint: say('account.bioHint'),
              given: me.bio,
            },
          ]}
          run={describe}
        />
      </section>
      <section>
        <h2>{say('account.email')}</h2>
        <EmailState me={me} />
        <AccountForm
          title={say('account.email')}
          verb={say('account.emailVerb')}
          passwordField="current_password"
          fields={[
            {
              name: 'email',
              label: say('account.email'),
              type: 'email',
              autocomplete: 'username',
              hint: say('account.emailHint'),
              given: me.email,
            },
            ...currentPassword,
          ]}
          run={changeEmail}
        />
      </section>
      <section>
        <h2>{say('account.password')}</h2>
        <AccountForm
          title={say('account.password')}
          login={me.email}
          verb={say('account.passwordVerb')}
          passwordField="current_password"
          fields={[
            ...currentPassword,
            {
              name: 'password',
              label: say('account.newPassword'),
              type: 'password',
              autocomplete: 'new-password',
              hint: say('account.newPasswordHint'),
            },
          ]}
          run={changePassword}
        />
      </section>
      <AlertsSetting me={me} />
      <SecondFactor me={me} />
      <Identities me={me} />
      <Sessions me={me} />
      <section>
        <h2>{say('account.keptAway')}</h2>
        <p class="muted">
          <Said
            of="account.keptAwayWhat"
            blocked={
              <PlaceLink to={{ name: 'kept-away', list: 'blocks' }}>
                {say('account.keptAwayBlocked')}
              </PlaceLink>
            }
            muted={
              <PlaceLink to={{ name: 'kept-away', list: 'mutes' }}>{say('account.keptAwayMuted')}</PlaceLink>
            }
          />
        </p>
      </section>
      <ExportAccount />
      <DeleteAccount me={me} />
    </section>
  );
}
