import { signal } from '@preact/signals';
import type { ServiceInfo } from 'tidings-client';
import { service } from '../service.ts';

/** Who may sign up. Until the service has said so, anyone: it refuses by itself. */
export const signUpMode = signal<ServiceInfo['sign_up']>('open');

/** Asks the service who may sign up. If it cannot be asked, the form stays as it is. */
export async function askSignUpMode(): Promise<void> {
  try {
    signUpMode.value = (await service.service()).sign_up;
  } catch {
    // Anyone who signs up is told what is wrong.
  }
}

/** The invitation in the address that somebody was sent: `/#invitation=…`. */
export function givenInvitation(): string {
  return new URLSearchParams(location.hash.slice(1)).get('invitation') ?? '';
}
