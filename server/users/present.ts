import type { User } from '../../models/index.ts';

export interface PublicUser {
  id: number;
  username: string;
  created_at: string;
}

export type OwnUser = PublicUser & { email: string };

/** What everyone may see of a user: never the e-mail address. */
export function presentUser(user: User): PublicUser {
  return { id: user.id, username: user.username, created_at: user.createdAt.toISOString() };
}

/** What a user sees of themselves. */
export function presentOwnUser(user: User): OwnUser {
  return { ...presentUser(user), email: user.email };
}
