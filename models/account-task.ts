import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from 'sequelize';

/** What is still to be done, in pieces, for an account that was renamed or deleted: see server/users/account-tasks. */
export class AccountTask extends Model<InferAttributes<AccountTask>, InferCreationAttributes<AccountTask>> {
  declare userId: number;
  declare kind: 'rename' | 'delete';
  /** A renaming has told of the posts from the newest one down to, without, this one. */
  declare beforeListedAt: CreationOptional<Date>;
  declare beforePostId: CreationOptional<string>;
  /** When a node last did a piece of it. One that has rested is taken up by any node. */
  declare workedAt: CreationOptional<Date>;
}

export function defineAccountTask(sequelize: Sequelize): void {
  AccountTask.init(
    {
      userId: {
        type: DataTypes.BIGINT,
        primaryKey: true,
        references: { model: 'users', key: 'id' },
        onDelete: 'CASCADE',
      },
      kind: { type: DataTypes.TEXT, allowNull: false },
      beforeListedAt: {
        type: DataTypes.DATE,
        allowNull: false,
        defaultValue: sequelize.literal(`'infinity'::timestamptz`),
      },
      beforePostId: {
        type: DataTypes.BIGINT,
        allowNull: false,
        defaultValue: sequelize.literal('9223372036854775807'),
      },
      workedAt: {
        type: DataTypes.DATE,
        allowNull: false,
        defaultValue: sequelize.literal('clock_timestamp()'),
      },
    },
    { sequelize, tableName: 'account_tasks' },
  );
}

export const accountTaskChecks = [
  `alter table account_tasks add constraint account_tasks_kind_check check (kind in ('rename', 'delete'))`,
];
