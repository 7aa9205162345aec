import type { User } from '../../models/index.ts';
import { digestOf } from '../preconditions.ts';

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

/** The opaque part of an account's tag: it changes with whatever its user sees of it. */
export function accountTag(user: OwnUser): string {
  return digestOf(JSON.stringify(user));
}
