import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** What a user may do beside what all may: moderators judge what users write, and administrators moderators too. */
export const roles = ['user', 'moderator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Somebody who can log in. Neither the e-mail address nor the hash ever leaves but in the user's own view. */
export class User extends Model<InferAttributes<User>, InferCreationAttributes<User>> {
  // `declare` keeps these out of the emitted class: a real field would shadow Sequelize's accessors.
  declare id: CreationOptional<number>;
  /** As it was typed; unique by its key. */
  declare email: string;
  /** What makes two addresses one; null for one in ASCII, which is compared in small letters. */
  declare emailKey: CreationOptional<string | null>;
  /** When it was proved that the user reads the mails to the address. Null: it was not. */
  declare emailVerifiedAt: CreationOptional<Date | null>;
  /** The new address that takes the place of `email` once it is proved. Null: none. */
  declare pendingEmail: CreationOptional<string | null>;
  /** As it was typed; unique without regard to case. */
  declare username: string;
  /** Of a name that was taken twice before names were compared as they are now: null for all others. */
  declare usernameKey: CreationOptional<string | null>;
  declare passwordHash: string;
  /** Equal to `passwordHash` if nobody knows the password that it is of, so the account has none. */
  declare unusableHash: CreationOptional<string | null>;
  /** What users say of themselves. */
  declare bio: CreationOptional<string>;
  declare createdAt: CreationOptional<Date>;
  declare role: CreationOptional<Role>;
  /** Until when nobody may log in, by the database's clock: `infinity` where there is no end. Null of all others. */
  declare suspendedUntil: CreationOptional<Date | null>;
  /** Since when the account is gone for everyone; its row goes after the last of its posts. */
  declare deletedAt: CreationOptional<Date | null>;
}

export function defineUser(sequelize: Sequelize): void {
  User.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      email: { type: DataTypes.TEXT, allowNull: false },
      emailKey: { type: DataTypes.TEXT },
      username: { type: DataTypes.TEXT, allowNull: false },
      usernameKey: { type: DataTypes.TEXT },
      passwordHash: { type: DataTypes.TEXT, allowNull: false },
      bio: { type: DataTypes.TEXT, allowNull: false, defaultValue: '' },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      role: { type: DataTypes.TEXT, allowNull: false, defaultValue: 'user' },
      suspendedUntil: { type: DataTypes.DATE },
      deletedAt: { type: DataTypes.DATE },
      emailVerifiedAt: { type: DataTypes.DATE },
      pendingEmail: { type: DataTypes.TEXT },
      unusableHash: { type: DataTypes.TEXT },
    },
    {
      sequelize,
      tableName: 'users',
    },
  );
}

/** What Sequelize has no words for. In any database alike, whatever its locale. */
export const userChecks = [
  `alter table users alter column email_key type text collate "C", alter column username_key type text collate "C"`,
  `create unique index users_email_key on users (coalesce(email_key, lower(email collate "C")))`,
  `create unique index users_username_key on users (coalesce(username_key, lower(username collate "C")))`,
  `create index users_unkeyed_idx on users (id) where email_key is null and octet_length(email) <> char_length(email)`,
  `alter table users add constraint users_email_check check (char_length(email) between 3 and 254 and email like '%@%')`,
  `alter table users add constraint users_role_check check (role in ('user', 'moderator', 'admin'))`,
  `create index users_role_idx on users (role) where role <> 'user'`,
  `alter table users add constraint users_bio_check check (char_length(bio) <= 500)`,
  `alter table users add constraint users_username_check check (username ~ '^[A-Za-z0-9_.-]{3,30}$')`,
];
