import type { User } from '../../models/index.ts';

/** An account that is to be made. */
export interface NewAccount {
  email: string;
  /** When it was proved that the user reads the mails to it; null: it was not, and a link for that is sent. */
  emailVerifiedAt: Date | null;
  username: string;
  passwordHash: string;
  /** Equal to `passwordHash`: the account has no password; null: it has. */
  unusableHash: string | null;
  /** One use of it goes; undefined: none is needed. */
  invitation: string | undefined;
}

/** Whether somebody knows a password that fits the hash of an account. */
export function hasPassword({
  passwordHash,
  unusableHash,
}: Pick<User, 'passwordHash' | 'unusableHash'>): boolean {
  return passwordHash !== unusableHash;
}
