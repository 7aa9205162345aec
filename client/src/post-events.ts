import type { LiveEvent, PostView } from './contract.ts';
import { postEvent } from './event-names.ts';

/** An event with the full state of a post. */
export type PostTold = Extract<LiveEvent, { data: PostView }>;

/** Whether an event has the full state of a post. A service may send other events than this client knows. */
export function tellsPost(event: LiveEvent): event is PostTold {
  return event.name === postEvent.added || event.name === postEvent.changed;
}

/** An event about a post. */
export type PostEvent = Extract<LiveEvent, { name: (typeof postEvent)[keyof typeof postEvent] }>;

/** Whether an event is about a post. */
export function isOfPost(event: LiveEvent): event is PostEvent {
  return Object.values<string>(postEvent).includes(event.name);
}
