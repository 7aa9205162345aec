import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** A login: the family of all tokens that descend from it. */
export class Session extends Model<InferAttributes<Session>, InferCreationAttributes<Session>> {
  declare id: string;
  declare userId: number;
  declare createdAt: CreationOptional<Date>;
  /** Moves on with each refresh; past it the row is pruned. */
  declare expiresAt: Date;
  declare revokedAt: CreationOptional<Date | null>;
  /** What the client called itself at the login. */
  declare client: CreationOptional<string | null>;
  /** In steps of five minutes; null until it has been used. */
  declare lastSeenAt: CreationOptional<Date | null>;
}

/** One link of a session's chain of refresh tokens. Kept for a while after it is spent, so that it gives its pair again (server/auth/refresh.ts). */
export class RefreshToken extends Model<
  InferAttributes<RefreshToken>,
  InferCreationAttributes<RefreshToken>
> {
  /** SHA-256 of the token; the token itself is stored nowhere. */
  declare hash: Buffer;
  declare sessionId: string;
  declare expiresAt: Date;
  declare spentAt: CreationOptional<Date | null>;
  /** What its successor was made from, beside the token itself. */
  declare successorSalt: CreationOptional<Buffer | null>;
  /** Whether the token names its session, so that its second use is recognised without this row. */
  declare signed: CreationOptional<boolean>;
}

/**
 * A committed end of one session or of all of a user's sessions. Every node reads these rows on the same tail as the
 * feed and closes the sockets concerned, so that a revocation reaches them even if Redis is dead.
 */
export class Revocation extends Model<InferAttributes<Revocation>, InferCreationAttributes<Revocation>> {
  declare id: CreationOptional<number>;
  /** No foreign key: the row outlives a deleted user. */
  declare userId: number;
  /** Null: all of the user's sessions. */
  declare sessionId: CreationOptional<string | null>;
  /** The one session that continues, at a password change. */
  declare exceptSessionId: CreationOptional<string | null>;
  declare createdAt: CreationOptional<Date>;
  /** Why, if their user did not want it: `suspended`. */
  declare code: CreationOptional<string | null>;
  /** The writing transaction: a reader asks for what is not older than its last snapshot, and so misses no late commit. */
  declare xid: CreationOptional<string>;
}

export function defineSession(sequelize: Sequelize): void {
  const user = { model: 'users', key: 'id' };
  Session.init(
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      userId: { type: DataTypes.BIGINT, allowNull: false, references: user, onDelete: 'CASCADE' },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      expiresAt: { type: DataTypes.DATE, allowNull: false },
      revokedAt: { type: DataTypes.DATE },
      client: { type: DataTypes.STRING(80) },
      lastSeenAt: { type: DataTypes.DATE },
    },
    {
      sequelize,
      tableName: 'sessions',
      indexes: [
        { name: 'sessions_user_id_idx', fields: ['user_id'] },
        { name: 'sessions_live_idx', fields: ['user_id'], where: { revoked_at: null } },
        { name: 'sessions_expires_at_idx', fields: ['expires_at'] },
      ],
    },
  );
  RefreshToken.init(
    {
      hash: { type: DataTypes.BLOB, primaryKey: true },
      sessionId: {
        type: DataTypes.UUID,
        allowNull: false,
        references: { model: 'sessions', key: 'id' },
        onDelete: 'CASCADE',
      },
      expiresAt: { type: DataTypes.DATE, allowNull: false },
      spentAt: { type: DataTypes.DATE },
      successorSalt: { type: DataTypes.BLOB },
      signed: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    },
    {
      sequelize,
      tableName: 'refresh_tokens',
      indexes: [{ name: 'refresh_tokens_session_id_idx', fields: ['session_id'] }],
    },
  );
  Revocation.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      userId: { type: DataTypes.BIGINT, allowNull: false },
      sessionId: { type: DataTypes.UUID },
      exceptSessionId: { type: DataTypes.UUID },
      code: { type: DataTypes.TEXT },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
      xid: { type: 'XID8', allowNull: false, defaultValue: sequelize.literal('pg_current_xact_id()') },
    },
    {
      sequelize,
      tableName: 'revocations',
      indexes: [{ name: 'revocations_xid_idx', fields: ['xid'] }],
    },
  );
}
