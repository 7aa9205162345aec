import { hasPassword } from '../auth/owner.ts';
import type { Role, User } from '../../models/index.ts';
import { digestOf } from '../preconditions.ts';

/** What everyone may see of a user: never the e-mail address. */
export interface PublicUser {
  id: number;
  username: string;
  bio: string;
  created_at: string;
  /** Published posts, without replies. */
  posts: number;
  followers: number;
  following: number;
  /** Only for one who is logged in: whether they follow, block or mute the user. */
  followed?: boolean;
  blocked?: boolean;
  muted?: boolean;
}

/** What a user sees of themselves. */
export type OwnUser = Pick<PublicUser, 'id' | 'username' | 'bio' | 'created_at'> & {
  email: string;
  /** Whether it was proved that the user reads the mails to the address. */
  email_verified: boolean;
  /** The new address that takes the place of `email` once it is proved; null: none. */
  pending_email: string | null;
  /** Whether the account has a password; without one its user logs in with the OpenID provider. */
  has_password: boolean;
  role: Role;
};

/** A profile with its counts, as the database has it. */
export type ProfileRow = Omit<PublicUser, 'created_at' | 'followed' | 'blocked' | 'muted'> & {
  created_at: Date;
};

/** @param relations what the one who asked is to the user; undefined if nobody is logged in */
export function presentProfile(row: ProfileRow, relations: readonly string[] | undefined): PublicUser {
  return {
    id: row.id,
    username: row.username,
    bio: row.bio,
    created_at: row.created_at.toISOString(),
    posts: row.posts,
    followers: row.followers,
    following: row.following,
    ...(relations && {
      followed: relations.includes('follow'),
      blocked: relations.includes('block'),
      muted: relations.includes('mute'),
    }),
  };
}

export function presentOwnUser(user: User): OwnUser {
  return {
    id: user.id,
    username: user.username,
    bio: user.bio,
    created_at: user.createdAt.toISOString(),
    email: user.email,
    // A new row does not have what was not given.
    email_verified: user.emailVerifiedAt instanceof Date,
    pending_email: user.pendingEmail ?? null,
    has_password: hasPassword(user),
    role: user.role,
  };
}

/** The opaque part of an account's tag: it changes with whatever its user sees of it. */
export function accountTag(user: OwnUser): string {
  return digestOf(JSON.stringify(user));
}
