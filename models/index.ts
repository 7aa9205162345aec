import type { Sequelize } from 'sequelize';
import { accountTaskChecks, defineAccountTask } from './account-task.ts';
import { accountExportTables } from './account-export.ts';
import { apiKeyTables } from './api-key.ts';
import { auditTables } from './audit.ts';
import { defineEvent, eventChecks } from './event.ts';
import { defineIdempotencyKey } from './idempotency-key.ts';
import { defineInvitation, invitationChecks } from './invitation.ts';
import { defineKeptUsername } from './kept-username.ts';
import { mailTables } from './mail.ts';
import { notificationTables } from './notification.ts';
import { oidcTables } from './oidc.ts';
import { definePost, postChecks, postReferences, postSearch, removedPosts } from './post.ts';
import { defineRelation, relationChecks } from './relation.ts';
import { reportTables } from './report.ts';
import { defineSession } from './session.ts';
import { totpTables } from './totp.ts';
import { defineUser, userChecks } from './user.ts';
import { defineVote } from './vote.ts';
import { webhookTables } from './webhook.ts';

export { AccountTask } from './account-task.ts';
export { FeedHead, LoggedEvent, OutboxEntry, Redaction } from './event.ts';
export { IdempotencyKey } from './idempotency-key.ts';
export { Invitation } from './invitation.ts';
export { KeptUsername } from './kept-username.ts';
export { Post, PostTally } from './post.ts';
export { Relation, type RelationKind, StreamRelation } from './relation.ts';
export { RefreshToken, Revocation, Session } from './session.ts';
export { type Role, roles, User } from './user.ts';
export { Vote } from './vote.ts';

/** Options that every model relies on; anyone who makes a Sequelize for these models passes them as `define`. */
export const modelDefaults = { underscored: true, timestamps: false } as const;

/** Binds the models to a connection. They are process-global: one Sequelize per process. */
export function defineModels(sequelize: Sequelize): void {
  defineUser(sequelize);
  defineSession(sequelize);
  definePost(sequelize);
  defineVote(sequelize);
  defineEvent(sequelize);
  defineIdempotencyKey(sequelize);
  defineAccountTask(sequelize);
  defineInvitation(sequelize);
  defineKeptUsername(sequelize);
  defineRelation(sequelize);
}

/** What `sequelize.sync()` cannot express, so that the models define the whole schema. Run after it. */
export const extraDdl: string[] = [
  // What functions were before they stood in files: nobody reads it but a migration that is taken back.
  'create table former_functions (signature text primary key, definition text not null)',
  ...userChecks,
  ...postChecks,
  ...postSearch,
  ...postReferences,
  ...removedPosts,
  ...eventChecks,
  ...accountTaskChecks,
  ...invitationChecks,
  ...relationChecks,
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
