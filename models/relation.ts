import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

export type RelationKind = 'follow' | 'block' | 'mute';

/** What one user wants of another: lists, blocks and mutes go by it from the commit on. */
export class Relation extends Model<InferAttributes<Relation>, InferCreationAttributes<Relation>> {
  declare userId: number;
  declare kind: RelationKind;
  declare targetId: number;
  declare createdAt: CreationOptional<Date>;
}

/**
 * The same as the stream of events has it, since which number. Written by the numbering alone, so that no request that
 * holds a row holds up the numbering; it refers to no user for the same reason.
 */
export class StreamRelation extends Model<
  InferAttributes<StreamRelation>,
  InferCreationAttributes<StreamRelation>
> {
  declare userId: number;
  /** And whether the user moderates: then it is its own target. */
  declare kind: RelationKind | 'moderate';
  declare targetId: number;
  /** The event that added it. */
  declare sinceSeq: number;
}

export function defineRelation(sequelize: Sequelize): void {
  const user = { model: 'users', key: 'id' };
  Relation.init(
    {
      userId: { type: DataTypes.BIGINT, primaryKey: true, references: user, onDelete: 'CASCADE' },
      kind: { type: DataTypes.TEXT, primaryKey: true },
      targetId: { type: DataTypes.BIGINT, primaryKey: true, references: user, onDelete: 'CASCADE' },
      createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: sequelize.literal('now()') },
    },
    {
      sequelize,
      tableName: 'relations',
      indexes: [
        { name: 'relations_target_idx', fields: ['target_id', 'kind', 'user_id'] },
        {
          name: 'relations_listed_idx',
          fields: [
            'user_id',
            'kind',
            { name: 'created_at', order: 'DESC' },
            { name: 'target_id', order: 'DESC' },
          ],
        },
        {
          name: 'relations_target_listed_idx',
          fields: [
            'target_id',
            'kind',
            { name: 'created_at', order: 'DESC' },
            { name: 'user_id', order: 'DESC' },
          ],
        },
      ],
    },
  );
  StreamRelation.init(
    {
      userId: { type: DataTypes.BIGINT, primaryKey: true },
      kind: { type: DataTypes.TEXT, primaryKey: true },
      targetId: { type: DataTypes.BIGINT, primaryKey: true },
      sinceSeq: { type: DataTypes.BIGINT, allowNull: false },
    },
    {
      sequelize,
      tableName: 'stream_relations',
      indexes: [{ name: 'stream_relations_target_idx', fields: ['target_id', 'kind', 'user_id'] }],
    },
  );
}

export const relationChecks = [
  `alter table relations add constraint relations_kind_check check (kind in ('follow', 'block', 'mute'))`,
  `alter table relations add constraint relations_self_check check (user_id <> target_id)`,
];
