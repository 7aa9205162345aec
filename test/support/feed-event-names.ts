import { eventTypes } from '../../server/event-registry.ts';
import type { FeedEventName } from '../../server/contract.ts';

/** Every event that may be in the log. */
export const feedEventNames = eventTypes.map(({ name }) => name as FeedEventName);
