import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** What an `Idempotency-Key` was used for, written in the transaction of the write that it guards. */
export class IdempotencyKey extends Model<
  InferAttributes<IdempotencyKey>,
  InferCreationAttributes<IdempotencyKey>
> {
  declare userId: number;
  declare key: string;
  /** SHA-256 of the request: the same key with another body is a fault. */
  declare requestHash: Buffer;
  declare postId: CreationOptional<number | null>;
  /** The first answer, given again word for word. Null once the post is gone: deleted is gone. */
  declare answer: CreationOptional<object | null>;
  declare createdAt: CreationOptional<Date>;
}

export function defineIdempotencyKey(sequelize: Sequelize): void {
  IdempotencyKey.init(
    {
      userId: {
        type: DataTypes.BIGINT,
        primaryKey: true,
        references: { model: 'users', key: 'id' },
        onDelete: 'CASCADE',
      },
      key: { type: DataTypes.TEXT, primaryKey: true },
      requestHash: { type: DataTypes.BLOB, allowNull: false },
      postId: { type: DataTypes.BIGINT },
      answer: { type: DataTypes.JSON },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
    },
    {
      sequelize,
      tableName: 'idempotency_keys',
      indexes: [
        { name: 'idempotency_keys_post_id_idx', fields: ['post_id'] },
        { name: 'idempotency_keys_created_at_idx', fields: ['created_at'] },
      ],
    },
  );
}
