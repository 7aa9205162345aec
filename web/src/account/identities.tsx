import { useEffect, useState } from 'preact/hooks';
import type { LinkedIdentity, OwnUser } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { Said } from '../languages/said.tsx';
import { say } from '../languages/say.ts';
import { service } from '../service.ts';
import { AccountForm } from './account-form.tsx';
import { ownPassword } from './own-password.ts';
import { goToProvider } from './provider-login.ts';
import { askService, provider } from './service-info.ts';

/** Who the user is at the provider, where the service has one. */
export function Identities({ me }: { me: OwnUser }) {
  // Undefined until it is known: what is typed meanwhile would be lost.
  const [list, setList] = useState<readonly LinkedIdentity[]>();
  const [trouble, setTrouble] = useState<string>();

  const load = async () => {
    try {
      await askService();
      setList(await service.openId.identities());
      setTrouble(undefined);
    } catch (error) {
      setTrouble(say('provider.unread', { why: sentenceOf(error) }));
    }
  };
  useEffect(() => void load(), []);
  if (provider.value === null) return null;
  const { name } = provider.value;
  const unlink = async ({ id }: LinkedIdentity, password: string | undefined) => {
    await service.openId.unlink(id, password);
    notify(say('provider.unlinked'));
    await load();
  };

  return (
    <section>
      <h2>{say('provider.title', { name })}</h2>
      {trouble !== undefined && <p role="alert">{trouble}</p>}
      {list?.map((identity) => (
        <div key={identity.id}>
          <p>
            {identity.email === null ? (
              <Said of="provider.linked" issuer={<code>{identity.issuer}</code>} />
            ) : (
              <Said of="provider.linkedAs" email={identity.email} issuer={<code>{identity.issuer}</code>} />
            )}
          </p>
          <AccountForm
            title={say('provider.title', { name })}
            login={me.email}
            verb={say('provider.unlink')}
            passwordField="password"
            fields={ownPassword(me)}
            refusals={{ conflict: 'provider.onlyWay' }}
            run={({ password }) => unlink(identity, password)}
          />
        </div>
      ))}
      {list?.length === 0 && (
        <AccountForm
          title={say('provider.title', { name })}
          login={me.email}
          verb={say('provider.link', { name })}
          passwordField="password"
          fields={ownPassword(me)}
          refusals={{ conflict: 'provider.linkedElsewhere' }}
          run={({ password }) => goToProvider('link', password)}
        />
      )}
    </section>
  );
}
