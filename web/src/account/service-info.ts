import { signal } from '@preact/signals';
import type { ServiceInfo } from 'tidings-client';
import { service } from '../service.ts';

/** Who may sign up. Until the service has said so, anyone: it refuses by itself. */
export const signUpMode = signal<ServiceInfo['sign_up']>('open');

/** Whether the service sends mails. Until it has said so, none: nothing is offered that it may not do. */
export const sendsMail = signal(false);

/** Asks the service what it offers. If it cannot be asked, the forms stay as they are. */
export async function askService(): Promise<void> {
  try {
    const { sign_up, sends_mail } = await service.service();
    signUpMode.value = sign_up;
    sendsMail.value = sends_mail;
  } catch {
    // Anyone who signs up is told what is wrong.
  }
}

/** The invitation in the address that somebody was sent: `/#invitation=…`. */
export function givenInvitation(): string {
  return new URLSearchParams(location.hash.slice(1)).get('invitation') ?? '';
}
