import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** Somebody who can log in. Neither the e-mail address nor the hash ever leaves but in the user's own view. */
export class User extends Model<InferAttributes<User>, InferCreationAttributes<User>> {
  // `declare` keeps these out of the emitted class: a real field would shadow Sequelize's accessors.
  declare id: CreationOptional<number>;
  /** As it was typed; unique without regard to case. */
  declare email: string;
  /** As it was typed; unique without regard to case. */
  declare username: string;
  declare passwordHash: string;
  declare createdAt: CreationOptional<Date>;
  /** Since when the account is gone for everybody; its row goes after the last of its posts. */
  declare deletedAt: CreationOptional<Date | null>;
}

export function defineUser(sequelize: Sequelize): void {
  User.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      email: { type: DataTypes.TEXT, allowNull: false },
      username: { type: DataTypes.TEXT, allowNull: false },
      passwordHash: { type: DataTypes.TEXT, allowNull: false },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      deletedAt: { type: DataTypes.DATE },
    },
    {
      sequelize,
      tableName: 'users',
      indexes: [
        { name: 'users_email_key', unique: true, fields: [sequelize.fn('lower', sequelize.col('email'))] },
        {
          name: 'users_username_key',
          unique: true,
          fields: [sequelize.fn('lower', sequelize.col('username'))],
        },
      ],
    },
  );
}

export const userChecks = [
  `alter table users add constraint users_email_check check (char_length(email) between 3 and 254 and email like '%@%')`,
  `alter table users add constraint users_username_check check (username ~ '^[A-Za-z0-9_.-]{3,30}$')`,
];
