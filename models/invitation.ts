import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** A code with which so many people may sign up where `SIGN_UP=invite`. The operator makes it: `npm run invite`. */
export class Invitation extends Model<InferAttributes<Invitation>, InferCreationAttributes<Invitation>> {
  declare id: CreationOptional<number>;
  /** SHA-256 of the code; the code itself is stored nowhere. */
  declare hash: Buffer;
  /** Accounts that may still be made with it. The deletion of one gives nothing back. */
  declare usesLeft: number;
  declare createdAt: CreationOptional<Date>;
  declare expiresAt: Date;
}

export function defineInvitation(sequelize: Sequelize): void {
  Invitation.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      hash: { type: DataTypes.BLOB, allowNull: false },
      usesLeft: { type: DataTypes.INTEGER, allowNull: false },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      expiresAt: { type: DataTypes.DATE, allowNull: false },
    },
    {
      sequelize,
      tableName: 'invitations',
      indexes: [{ unique: true, fields: ['hash'], name: 'invitations_hash_key' }],
    },
  );
}

export const invitationChecks = [
  `alter table invitations add constraint invitations_uses_left_check check (uses_left >= 0)`,
];
