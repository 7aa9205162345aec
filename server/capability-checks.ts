import type { Check, Task } from './database/check.ts';
import type { EntityFold } from './topics/entity-fold.ts';
import { postChecks, postTasks } from './posts/checks.ts';
import { postFold } from './posts/fold.ts';
import { userChecks } from './users/checks.ts';
import { voteChecks } from './votes/checks.ts';

/** How the events of each kind of thing fold, and what else the capabilities have doctor look at and do. */
export const folds: readonly EntityFold[] = [postFold];
export const checks: readonly Check[] = [...postChecks, ...userChecks, ...voteChecks];
export const tasks: readonly Task[] = postTasks;
