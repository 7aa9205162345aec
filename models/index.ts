import type { Sequelize } from 'sequelize';
import { accountTaskTables } from './account-task.ts';
import { accountExportTables } from './account-export.ts';
import { apiKeyTables } from './api-key.ts';
import { auditTables } from './audit.ts';
import { eventTables } from './event.ts';
import { idempotencyKeyTables } from './idempotency-key.ts';
import { invitationTables } from './invitation.ts';
import { keptUsernameTables } from './kept-username.ts';
import { mailTables } from './mail.ts';
import { notificationTables } from './notification.ts';
import { oidcTables } from './oidc.ts';
import { definePost, postChecks, postReferences, postSearch, postTallies, removedPosts } from './post.ts';
import { relationTables } from './relation.ts';
import { reportTables } from './report.ts';
import { sessionTables } from './session.ts';
import { totpTables } from './totp.ts';
import { defineUser, userChecks } from './user.ts';
import { voteTables } from './vote.ts';
import { webhookTables } from './webhook.ts';

export { Post } from './post.ts';
export { type Role, roles, User } from './user.ts';

/** Options that every model relies on; anyone who makes a Sequelize for these models passes them as `define`. */
export const modelDefaults = { underscored: true, timestamps: false } as const;

/** Binds the models to a connection. They are process-global: one Sequelize per process. */
export function defineModels(sequelize: Sequelize): void {
  defineUser(sequelize);
  definePost(sequelize);
}

/** What `sequelize.sync()` cannot express, so that the models define the whole schema. Run after it. */
export const extraDdl: string[] = [
  // What functions were before they stood in files: nobody reads it but a migration that is taken back.
  'create table former_functions (signature text primary key, definition text not null)',
  ...userChecks,
  ...sessionTables,
  ...postChecks,
  ...postTallies,
  ...postSearch,
  ...postReferences,
  ...removedPosts,
  ...voteTables,
  ...eventTables,
  ...idempotencyKeyTables,
  ...accountTaskTables,
  ...invitationTables,
  ...keptUsernameTables,
  ...relationTables,
  ...notificationTables,
  ...auditTables,
  ...reportTables,
  ...mailTables,
  ...accountExportTables,
  ...totpTables,
  ...oidcTables,
  ...apiKeyTables,
  ...webhookTables,
];
