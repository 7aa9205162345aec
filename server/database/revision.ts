import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../paths.ts';
import { type Drift } from './drift.ts';

/**
 * Writes a drift down as a migration, for its author to read and correct: a diff knows neither renames nor how to fill a new
 * column that must not be null.
 * @returns the path of the file
 */
export async function writeRevision(
  name: string,
  drift: Drift,
  folder = join(packageRoot, 'migrations'),
): Promise<string> {
  const slug = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  if (slug === '') throw new Error(`"${name}" contains nothing that a file name can be made from`);
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const file = join(folder, `${stamp}-${slug}.cjs`);
  await writeFile(file, render(name, drift), { flag: 'wx' });
  return file;
}

function render(name: string, { up, down }: Drift): string {
  return `'use strict';

/** ${name.replaceAll('*/', '* /').replaceAll('\n', ' ')}. Generated from the models: read it before you commit it. */
module.exports = {
  async up(queryInterface) {
    await run(queryInterface, ${literals(up)});
  },

  async down(queryInterface) {
    await run(queryInterface, ${literals(down)});
  },
};

/** In one transaction: a migration that fails half-way must leave nothing behind. */
function run(queryInterface, statements) {
  return queryInterface.sequelize.transaction(async (transaction) => {
    for (const statement of statements) await queryInterface.sequelize.query(statement, { transaction });
  });
}
`;
}

function literals(statements: string[]): string {
  if (statements.length === 0) return '[]';
  return `[\n${statements.map((statement) => `      ${literal(statement)},\n`).join('')}    ]`;
}

/** A template literal, so that SQL stays readable over several lines. */
function literal(statement: string): string {
  const escaped = statement.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${');
  return `\`${escaped.replaceAll('\n', '\n      ')}\``;
}
