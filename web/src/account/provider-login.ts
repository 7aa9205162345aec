import { effect, signal } from '@preact/signals';
import type { ProviderAnswer } from 'tidings-client';
import { notify } from '../chrome/notices.tsx';
import { sentenceOf } from '../chrome/sentence.ts';
import { read, tabStorage, write } from '../chrome/stored.ts';
import { say } from '../languages/say.ts';
import { takeFromFragment } from '../places/fragment.ts';
import { service } from '../service.ts';
import { presence } from './account.ts';

/** What this tab has begun at the OpenID provider. */
interface Begun {
  kind: 'log-in' | 'link';
  state: string;
  secret: string;
}

/** Of this tab alone: another one may have begun something else. */
const KEY = 'tidings.provider-login';

/** What the provider said, until somebody is logged in with it. */
export const providerAnswer = signal<ProviderAnswer | undefined>(undefined);
// Also in another tab: it would log in the next one who logs out.
effect(() => {
  if (presence.value.state === 'in') providerAnswer.value = undefined;
});

/** Goes to the provider. @throws {TidingsError} */
export async function goToProvider(kind: Begun['kind'], password?: string): Promise<void> {
  const { authorization_url, state, secret } =
    kind === 'link' ? await service.openId.beginLink(password) : await service.openId.begin();
  const begun: Begun = { kind, state, secret };
  write(tabStorage(), KEY, JSON.stringify(begun));
  location.assign(authorization_url);
}

/** Takes the answer of the provider out of the address. One that this tab did not ask for is somebody else's. */
export function takeProviderAnswer(): void {
  const response = takeFromFragment('oidc');
  if (response === undefined) return;
  const begun = readBegun();
  write(tabStorage(), KEY, null);
  if (begun?.state !== new URLSearchParams(response).get('state')) {
    notify(say('provider.notHere'), 'failed');
    return;
  }
  const answer = { response, secret: begun.secret };
  if (begun.kind === 'link') void link(answer);
  else providerAnswer.value = answer;
}

function readBegun(): Begun | undefined {
  const stored = read(tabStorage(), KEY);
  return stored === null ? undefined : (JSON.parse(stored) as Begun);
}

async function link(answer: ProviderAnswer): Promise<void> {
  try {
    await service.openId.link(answer);
    notify(say('provider.done'));
  } catch (error) {
    notify(sentenceOf(error, { conflict: 'provider.linkedElsewhere' }), 'failed');
  }
}
