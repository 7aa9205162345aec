import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  Op,
  type Sequelize,
} from 'sequelize';

/** A fact written in the transaction of its change, and not yet numbered. */
export class OutboxEntry extends Model<InferAttributes<OutboxEntry>, InferCreationAttributes<OutboxEntry>> {
  /** Insertion order. It has gaps and may run ahead of commits; only `seq` may be shown to a reader. */
  declare id: CreationOptional<number>;
  declare name: string;
  /** What it is about: a kind of thing (`post`), and which one. */
  declare entityType: string;
  declare entityId: number;
  /** The audience: `public`, `user:7` or `role:moderator`. */
  declare audience: string;
  /** The topics: what one subscribes to in order to receive it. */
  declare topics: string[];
  /** What it does to the earlier events of its entity: `nothing`, `previous` or `all`. */
  declare supersedes: string;
  /** Fields of `data` that are emptied once a later event supersedes it. */
  declare redaction: string[];
  declare data: object;
  /** Whose words it carries; null if nobody's. */
  declare authorId: CreationOptional<number | null>;
  /** What it goes away with: a kind of thing (`thread`), and which one. */
  declare containerType: CreationOptional<string | null>;
  declare containerId: CreationOptional<number | null>;
  /** Whether it takes the text out of all earlier events of its container. */
  declare erasesContainer: CreationOptional<boolean>;
  /**
   * What is received instead by those who subscribe only to topics that its entity has left: `{topics, name, data}`.
   */
  declare departure: CreationOptional<object | null>;
  /** The relation that it changes: `{kind, user_id, target_id, added}`. */
  declare relation: CreationOptional<object | null>;
  declare createdAt: CreationOptional<Date>;
}

/** A numbered fact: the log that every client follows. */
export class LoggedEvent extends Model<InferAttributes<LoggedEvent>, InferCreationAttributes<LoggedEvent>> {
  declare seq: number;
  /** Unique, so that no fact is ever numbered twice. */
  declare outboxId: number;
  declare name: string;
  declare entityType: string;
  declare entityId: number;
  declare audience: string;
  declare topics: string[];
  declare redaction: string[];
  declare data: object;
  /** Whose words it carries; null if nobody's. */
  declare authorId: CreationOptional<number | null>;
  /** What it goes away with: a kind of thing (`thread`), and which one. */
  declare containerType: CreationOptional<string | null>;
  declare containerId: CreationOptional<number | null>;
  /** Whether it takes the text out of all earlier events of its container. */
  declare erasesContainer: CreationOptional<boolean>;
  /**
   * What is received instead by those who subscribe only to topics that its entity has left: `{topics, name, data}`.
   */
  declare departure: CreationOptional<object | null>;
  /** The relation that it changes: `{kind, user_id, target_id, added}`. */
  declare relation: CreationOptional<object | null>;
  declare createdAt: Date;
  /** Every transaction below this number had ended when the event was numbered: see feed/missed-tallies. */
  declare horizon: CreationOptional<string>;
  declare numberedAt: CreationOptional<Date>;
}

/** An entity whose earlier text is still to be cut out of the log: of its events from `nextSeq` up to, without, `beforeSeq`, its newest one. */
export class Redaction extends Model<InferAttributes<Redaction>, InferCreationAttributes<Redaction>> {
  declare entityType: string;
  declare entityId: number;
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
  /** Transaction numbers in events up to here may be those of another cluster. */
  declare foreignSeq: CreationOptional<number>;
}

export function defineEvent(sequelize: Sequelize): void {
  OutboxEntry.init(
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
      name: { type: DataTypes.TEXT, allowNull: false },
      entityType: { type: DataTypes.TEXT, allowNull: false },
      entityId: { type: DataTypes.BIGINT, allowNull: false },
      audience: { type: DataTypes.TEXT, allowNull: false },
      topics: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false },
      supersedes: { type: DataTypes.TEXT, allowNull: false },
      redaction: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false },
      data: { type: DataTypes.JSON, allowNull: false },
      authorId: { type: DataTypes.BIGINT },
      containerType: { type: DataTypes.TEXT },
      containerId: { type: DataTypes.BIGINT },
      erasesContainer: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
      departure: { type: DataTypes.JSON },
      relation: { type: DataTypes.JSON },
      createdAt: {
        type: DataTypes.DATE,
        allowNull: false,
        defaultValue: sequelize.literal('clock_timestamp()'),
      },
    },
    { sequelize, tableName: 'event_outbox' },
  );
  LoggedEvent.init(
    {
      seq: { type: DataTypes.BIGINT, primaryKey: true },
      outboxId: { type: DataTypes.BIGINT, allowNull: false },
      name: { type: DataTypes.TEXT, allowNull: false },
      entityType: { type: DataTypes.TEXT, allowNull: false },
      entityId: { type: DataTypes.BIGINT, allowNull: false },
      audience: { type: DataTypes.TEXT, allowNull: false },
      topics: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false },
      redaction: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false },
      data: { type: DataTypes.JSON, allowNull: false },
      authorId: { type: DataTypes.BIGINT },
      containerType: { type: DataTypes.TEXT },
      containerId: { type: DataTypes.BIGINT },
      erasesContainer: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
      departure: { type: DataTypes.JSON },
      relation: { type: DataTypes.JSON },
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
      tableName: 'event_log',
      indexes: [
        { name: 'event_log_outbox_id_key', unique: true, fields: ['outbox_id'] },
        { name: 'event_log_entity_id_seq_idx', fields: ['entity_id', 'seq'] },
        {
          name: 'event_log_container_idx',
          fields: ['container_id', 'seq'],
          where: { container_id: { [Op.ne]: null } },
        },
        {
          name: 'event_log_author_idx',
          fields: ['author_id', 'seq'],
          where: { author_id: { [Op.ne]: null } },
        },
      ],
    },
  );
  Redaction.init(
    {
      entityType: { type: DataTypes.TEXT, primaryKey: true },
      entityId: { type: DataTypes.BIGINT, primaryKey: true },
      nextSeq: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      beforeSeq: { type: DataTypes.BIGINT, allowNull: false },
    },
    { sequelize, tableName: 'event_redactions' },
  );
  FeedHead.init(
    {
      id: { type: DataTypes.SMALLINT, primaryKey: true, defaultValue: 1 },
      epoch: { type: DataTypes.UUID, allowNull: false },
      seq: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      floor: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      fingerprint: { type: DataTypes.TEXT, allowNull: false, defaultValue: '' },
      writtenBy: { type: 'XID8' },
      foreignSeq: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
    },
    { sequelize, tableName: 'feed_head' },
  );
}

export const eventChecks = [
  // By which the events of a quiet topic are found. Written by the numbering, as the log is; a model would not be used.
  `create table event_topics (topic text collate "C" not null, seq bigint not null, primary key (topic, seq))`,
  `alter table event_outbox add constraint event_outbox_supersedes_check check (supersedes in ('nothing', 'previous', 'all'))`,
  `alter table event_log add constraint event_log_seq_check check (seq > 0)`,
  `alter table feed_head add constraint feed_head_one_row_check check (id = 1)`,
  `alter table feed_head add constraint feed_head_floor_check check (floor between 0 and seq)`,
];
