import { useEffect, useState } from 'preact/hooks';
import type { LinkedIdentity, OwnUser } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { ownPassword } from './own-password.ts';
import { goToProvider } from './provider-login.ts';
import { askService, provider } from './service-info.ts';

/** Who the user is at the provider, where the service has one. */
export function Identities({ me }: { me: OwnUser }) {
  const [list, setList] = useState<readonly LinkedIdentity[]>([]);
  const [trouble, setTrouble] = useState<string>();

  const load = async () => {
    try {
      await askService();
      setList(await service.openId.identities());
      setTrouble(undefined);
    } catch (error) {
      setTrouble(`How you can log in could not be loaded. ${sentenceOf(error)}`);
    }
  };
  useEffect(() => void load(), []);
  if (provider.value === null) return null;
  const { name } = provider.value;
  const unlink = async ({ id }: LinkedIdentity, password: string | undefined) => {
    await service.openId.unlink(id, password);
    notify('You can no longer log in with it.');
    await load();
  };

  return (
    <section>
      <h2>Log in with {name}</h2>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {list.map((identity) => (
        <div key={identity.id}>
          <p>
            You can log in{identity.email === null ? '' : ` as ${identity.email}`}, at{' '}
            <code>{identity.issuer}</code>.
          </p>
          <AccountForm
            title={`Log in with ${name}`}
            login={me.email}
            verb="Unlink it"
            passwordField="password"
            fields={ownPassword(me)}
            run={({ password }) => unlink(identity, password)}
          />
        </div>
      ))}
      {list.length === 0 && (
        <AccountForm
          title={`Log in with ${name}`}
          login={me.email}
          verb={`Link ${name}`}
          passwordField="password"
          fields={ownPassword(me)}
          run={({ password }) => goToProvider('link', password)}
        />
      )}
    </section>
  );
}
