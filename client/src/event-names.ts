export { postEvent } from '../../server/posts/event-names.ts';
export { relationEvent } from '../../server/relations/event-names.ts';
