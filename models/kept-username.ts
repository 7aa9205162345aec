import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** A username that was given up and is nobody else's yet. A trigger on `users` writes it. */
export class KeptUsername extends Model<
  InferAttributes<KeptUsername>,
  InferCreationAttributes<KeptUsername>
> {
  /** SHA-256 of the name in small letters. */
  declare nameHash: Buffer;
  /** Who may take it back; null once the account is gone. */
  declare formerOwnerId: CreationOptional<number | null>;
  declare keptUntil: Date;
}

export function defineKeptUsername(sequelize: Sequelize): void {
  KeptUsername.init(
    {
      nameHash: { type: DataTypes.BLOB, primaryKey: true },
      formerOwnerId: {
        type: DataTypes.BIGINT,
        references: { model: 'users', key: 'id' },
        onDelete: 'SET NULL',
      },
      keptUntil: { type: DataTypes.DATE, allowNull: false },
    },
    {
      sequelize,
      tableName: 'kept_usernames',
      indexes: [
        { name: 'kept_usernames_former_owner_id_idx', fields: ['former_owner_id'] },
        { name: 'kept_usernames_kept_until_idx', fields: ['kept_until'] },
      ],
    },
  );
}
