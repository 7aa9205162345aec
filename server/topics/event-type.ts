import type Joi from 'joi';

/** The audience of an event: everyone, one user, or moderators. It is written with the event and never changed. */
export type Audience = 'public' | `user:${number}` | 'role:moderator';

/** What an event does to the earlier events of its entity: their text leaves every later replay. */
export type Supersedes =
  /** It is the first of its entity, or the first after one that superseded all. */
  | 'nothing'
  /** The one before it. All before that one have been superseded already. */
  | 'previous'
  /** All of them, also those that were written while nobody looked: the entity is gone. */
  | 'all';

/** What a user is to another: what the stream goes by from the event on that changes it. */
export type RelationKind = 'follow' | 'block' | 'mute';

/**
 * What an event changes between two users; or of one, who is both: whether that user moderates. It takes effect where a
 * node passes the event.
 */
export interface RelationChange {
  kind: RelationKind | 'moderate';
  user_id: number;
  target_id: number;
  added: boolean;
}

/** What events go away with, beside their own entity: all of a thread's with the thread. */
export interface Container {
  type: string;
  id: number;
}

/** Another event, which is received instead by those who subscribe only to topics that the entity has left. */
export interface Departure {
  topics: readonly string[];
  name: string;
  data: object;
}

/** An event type, declared once by a capability: log, delivery and documents know events only by this. */
export interface EventType<Name extends string, Subject, Payload extends object> {
  name: Name;
  /** What happened, as the documents tell it: a few words. */
  summary: string;
  /** When it is told, in a sentence. */
  description?: string;
  /** The payload, as clients are told it. */
  schema: Joi.AnySchema<Payload>;
  /** What kind of thing it is about: `post`. Events of one entity supersede each other. */
  entityType: string;
  entityId: (subject: Subject) => number;
  audience: (subject: Subject) => Audience;
  /** What one subscribes to in order to hear it: `feed`, `author:7`. */
  topics: (subject: Subject) => string[];
  payload: (subject: Subject) => Payload;
  /** Whose words it carries: who hides that user does not receive it. */
  author?: (subject: Subject) => number;
  /** What else takes its text away. */
  container?: (subject: Subject) => Container | undefined;
  /** Whether it takes the text out of all earlier events of its container, as a deleted thread does. */
  erasesContainer?: (subject: Subject) => boolean;
  /** What it changes between two users. */
  relation?: (subject: Subject) => RelationChange | undefined;
  supersedes: Supersedes;
  /**
   * Fields of the payload that are emptied once it is superseded, with dots for what lies deeper; each holds text or a
   * list.
   */
  redaction: readonly string[];
}

/** What anyone who carries, tells or documents events knows of each. */
export type DeclaredEvent = Pick<
  EventType<string, never, object>,
  'name' | 'summary' | 'description' | 'entityType' | 'supersedes'
> & { schema: Joi.AnySchema };

/** An event on its way to the outbox: a row, by its columns. */
export interface OutboxRow {
  name: string;
  entity_type: string;
  entity_id: number;
  audience: Audience;
  topics: string[];
  supersedes: Supersedes;
  redaction: readonly string[];
  data: object;
  author_id?: number;
  container_type?: string;
  container_id?: number;
  erases_container?: boolean;
  departure?: Departure;
  relation?: RelationChange;
}

/** What is written when an event is appended. */
export function rowOf<Subject, Payload extends object>(
  type: EventType<string, Subject, Payload>,
  subject: Subject,
  departure?: Departure,
): OutboxRow {
  const container = type.container?.(subject);
  const relation = type.relation?.(subject);
  return {
    name: type.name,
    entity_type: type.entityType,
    entity_id: type.entityId(subject),
    audience: type.audience(subject),
    topics: type.topics(subject),
    supersedes: type.supersedes,
    redaction: type.redaction,
    data: type.payload(subject),
    ...(type.author && { author_id: type.author(subject) }),
    ...(container && {
      container_type: container.type,
      container_id: container.id,
      erases_container: type.erasesContainer?.(subject) ?? false,
    }),
    ...(departure && { departure }),
    ...(relation && { relation }),
  };
}
