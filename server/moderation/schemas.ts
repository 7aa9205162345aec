import { exactly, object, oneOf } from '../api/schema.ts';
import type { RoleChanged } from './event-payloads.ts';

/** What a user may do beside what all may. */
const role = () =>
  oneOf('user', 'moderator', 'admin').description('What the user may do beside what all users may');

export const roleChanged = exactly<RoleChanged>()(object({ role: role() }).id('RoleChangedEvent'));
