import { Sequelize } from 'sequelize';
import { defineModels, extraDdl, modelDefaults } from '../../models/index.ts';
import { sequelizeConnection } from './client.ts';
import { readFunctionFiles } from './functions.ts';

/** Functions that indexes are made with: models have no words for them. */
const OF_INDEXES = ['search_word_is_cut', 'search_pieces', 'search_keys_of', 'search_parts'];

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
    const functions = (await readFunctionFiles()).filter(({ name }) => OF_INDEXES.includes(name));
    for (const statement of [...functions.map(({ sql }) => sql), ...extraDdl])
      await sequelize.query(statement);
  } finally {
    await sequelize.close();
  }
}
