export { moderationEvent } from '../../server/moderation/event-names.ts';
export { notificationEvent } from '../../server/notifications/event-names.ts';
export { postEvent } from '../../server/posts/event-names.ts';
export { relationEvent } from '../../server/relations/event-names.ts';
