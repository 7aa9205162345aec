import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** A fact written in the transaction of its change, and not yet numbered. */
export class OutboxEntry extends Model<InferAttributes<OutboxEntry>, InferCreationAttributes<OutboxEntry>> {
  /** Insertion order. It has gaps and may run ahead of commits; only `seq` may be shown to a reader. */
  declare id: CreationOptional<number>;
  declare name: string;
  declare postId: number;
  declare data: object;
  declare createdAt: CreationOptional<Date>;
}

/** A numbered fact: the log that every client follows. */
export class LoggedEvent extends Model<InferAttributes<LoggedEvent>, InferCreationAttributes<LoggedEvent>> {
  declare seq: number;
  /** Unique, so that no fact is ever numbered twice. */
  declare outboxId: number;
  declare name: string;
  declare postId: number;
  declare data: object;
  declare createdAt: Date;
  /** Every transaction below this number had ended when the event was numbered: see feed/missed-tallies. */
  declare horizon: CreationOptional<string>;
  declare numberedAt: CreationOptional<Date>;
}

/** A post whose earlier text is still to be cut out of the log: of its events from `nextSeq` up to, without, `beforeSeq`, its newest one. */
export class Redaction extends Model<InferAttributes<Redaction>, InferCreationAttributes<Redaction>> {
  declare postId: number;
  declare nextSeq: CreationOptional<number>;
  declare beforeSeq: number;
}

/** The one row that says how far the log has come and which numbering it is. */
export class FeedHead extends Model<InferAttributes<FeedHead>, InferCreationAttributes<FeedHead>> {
  declare id: CreationOptional<number>;
  declare epoch: string;
  declare seq: CreationOptional<number>;
  /** Everything up to here has been pruned. */
  declare floor: CreationOptional<number>;
  /** Identity of the database that this epoch was made in; in a restored one it no longer fits. */
  declare fingerprint: CreationOptional<string>;
  /** The transaction that wrote the row last; a trigger sets it. A row that was loaded from a dump has another's. */
  declare writtenBy: CreationOptional<string | null>;
}

export function defineEvent(sequelize: Sequelize): void {
  OutboxEntry.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      name: { type: DataTypes.TEXT, allowNull: false },
      postId: { type: DataTypes.BIGINT, allowNull: false },
      data: { type: DataTypes.JSON, allowNull: false },
      createdAt: {
        type: DataTypes.DATE,
        allowNull: false,
        defaultValue: sequelize.literal('clock_timestamp()'),
      },
    },
    { sequelize, tableName: 'outbox' },
  );
  LoggedEvent.init(
    {
      seq: { type: DataTypes.BIGINT, primaryKey: true },
      outboxId: { type: DataTypes.BIGINT, allowNull: false },
      name: { type: DataTypes.TEXT, allowNull: false },
      postId: { type: DataTypes.BIGINT, allowNull: false },
      data: { type: DataTypes.JSON, allowNull: false },
      createdAt: { type: DataTypes.DATE, allowNull: false },
      horizon: {
        type: 'XID8',
        allowNull: false,
        defaultValue: sequelize.literal('pg_snapshot_xmin(pg_current_snapshot())'),
      },
      numberedAt: {
        type: DataTypes.DATE,
        allowNull: false,
        defaultValue: sequelize.literal('clock_timestamp()'),
      },
    },
    {
      sequelize,
      tableName: 'events',
      indexes: [
        { name: 'events_outbox_id_key', unique: true, fields: ['outbox_id'] },
        { name: 'events_post_id_seq_idx', fields: ['post_id', 'seq'] },
      ],
    },
  );
  Redaction.init(
    {
      postId: { type: DataTypes.BIGINT, primaryKey: true },
      nextSeq: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      beforeSeq: { type: DataTypes.BIGINT, allowNull: false },
    },
    { sequelize, tableName: 'redactions' },
  );
  FeedHead.init(
    {
      id: { type: DataTypes.SMALLINT, primaryKey: true, defaultValue: 1 },
      epoch: { type: DataTypes.UUID, allowNull: false },
      seq: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      floor: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      fingerprint: { type: DataTypes.TEXT, allowNull: false, defaultValue: '' },
      writtenBy: { type: 'XID8' },
    },
    { sequelize, tableName: 'feed_head' },
  );
}

export const eventChecks = [
  `alter table outbox add constraint outbox_name_check check (name in ('post:created', 'post:updated', 'post:deleted'))`,
  `alter table events add constraint events_name_check check (name in ('post:created', 'post:updated', 'post:deleted'))`,
  `alter table events add constraint events_seq_check check (seq > 0)`,
  `alter table feed_head add constraint feed_head_one_row_check check (id = 1)`,
  `alter table feed_head add constraint feed_head_floor_check check (floor between 0 and seq)`,
];
