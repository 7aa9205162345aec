export { postEvent } from '../../server/posts/event-names.ts';
