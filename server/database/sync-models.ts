import { Sequelize } from 'sequelize';
import { sequelizeConnection } from './client.ts';
import { defineModels, extraDdl, modelDefaults } from '../../models/index.ts';

/**
 * Fills an empty database with the schema that the models define.
 *
 * It binds the models to a connection that is closed afterwards. They are process-global, so this is for a process that
 * does nothing else with them.
 */
export async function syncModels(databaseUrl: string): Promise<void> {
  const sequelize = new Sequelize({
    ...sequelizeConnection(databaseUrl, { name: 'tidings schema' }),
    logging: false,
    pool: { max: 1 },
    define: modelDefaults,
  });
  try {
    defineModels(sequelize);
    await sequelize.sync();
    for (const statement of extraDdl) await sequelize.query(statement);
  } finally {
    await sequelize.close();
  }
}
