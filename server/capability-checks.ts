import type { Check, Task } from './database/check.ts';
import type { EntityFold } from './topics/entity-fold.ts';
import { mailChecks } from './mail/checks.ts';
import { moderationChecks } from './moderation/checks.ts';
import { notificationChecks } from './notifications/checks.ts';
import { postChecks, postTasks } from './posts/checks.ts';
import { postFold } from './posts/fold.ts';
import { relationChecks } from './relations/checks.ts';
import { sealChecks } from './sealed-columns.ts';
import { userChecks } from './users/checks.ts';
import { webhookChecks } from './webhooks/checks.ts';
import { voteChecks } from './votes/checks.ts';

/**
 * For the doctor: how the events of each entity type fold into state, and the other checks and tasks of the
 * capabilities.
 */
export const folds: readonly EntityFold[] = [postFold];
export const checks: readonly Check[] = [
  ...postChecks,
  ...userChecks,
  ...relationChecks,
  ...voteChecks,
  ...notificationChecks,
  ...moderationChecks,
  ...mailChecks,
  ...webhookChecks,
  ...sealChecks,
];
export const tasks: readonly Task[] = postTasks;
