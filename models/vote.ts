import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** One user's like on one post. The primary key makes it one per user. */
export class Vote extends Model<InferAttributes<Vote>, InferCreationAttributes<Vote>> {
  declare userId: number;
  declare postId: number;
  declare createdAt: CreationOptional<Date>;
}

export function defineVote(sequelize: Sequelize): void {
  Vote.init(
    {
      userId: {
        type: DataTypes.BIGINT,
        primaryKey: true,
        references: { model: 'users', key: 'id' },
        onDelete: 'CASCADE',
      },
      postId: {
        type: DataTypes.BIGINT,
        primaryKey: true,
        references: { model: 'posts', key: 'id' },
        onDelete: 'CASCADE',
      },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
    },
    { sequelize, tableName: 'votes', indexes: [{ name: 'votes_post_id_idx', fields: ['post_id'] }] },
  );
}
