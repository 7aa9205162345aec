import type { DeclaredEvent } from './topics/event-type.ts';
import { moderationEvents } from './moderation/events.ts';
import { notificationEvents } from './notifications/events.ts';
import { postEvents } from './posts/events.ts';
import { relationEvents } from './relations/events.ts';

/** Every event that some capability declares: what the documents describe, and what the log may contain. */
export const eventTypes: readonly DeclaredEvent[] = [
  ...postEvents,
  ...relationEvents,
  ...notificationEvents,
  ...moderationEvents,
];
