import { signal } from '@preact/signals';
import type { ServiceInfo } from 'tidings-client';
import { service } from '../service.ts';

/** Who may sign up. Until the service has said so, anyone: it refuses by itself. */
export const signUpMode = signal<ServiceInfo['sign_up']>('open');

/** Whether the service sends mails. Until it has said so, none: nothing is offered that it may not do. */
export const sendsMail = signal(false);

/** The OpenID provider with which users can log in; null: none, or the service has not said yet. */
export const provider = signal<ServiceInfo['oidc']>(null);

/** Asks the service what it offers. If it cannot be asked, the forms stay as they are. */
export async function askService(): Promise<void> {
  try {
    const { sign_up, sends_mail, oidc } = await service.service();
    signUpMode.value = sign_up;
    sendsMail.value = sends_mail;
    provider.value = oidc;
  } catch {
    // Anyone who signs up is told what is wrong.
  }
}
