import Joi from 'joi';
import { id, object, optional } from '../../server/api/schema.ts';
import type { DeclaredEvent, EventType } from '../../server/topics/event-type.ts';

/**
 * A capability that only the tests have, declared as any other: notes to one user, reports to those who moderate, and
 * notices to everyone.
 */
export interface Note {
  id: number;
  /** Whom it is for, where it is for one user. */
  reader: number;
  words: string;
}

interface NoteView {
  id: number;
  deep: { words: string };
  redacted?: true;
}

const ofNote = {
  summary: 'Something about a note',
  schema: object({
    id: id(),
    deep: object({ words: Joi.string().allow('') }),
    redacted: optional(Joi.valid(true) as Joi.AnySchema<true>),
  }).id('NoteEvent') as Joi.AnySchema<NoteView>,
  entityType: 'note',
  entityId: ({ id }: Note) => id,
  audience: ({ reader }: Note) => `user:${reader}` as const,
  topics: () => [],
  payload: ({ id, words }: Note) => ({ id, deep: { words } }),
  redaction: ['deep.words'],
};

export const noteAdded: EventType<'note:added', Note, NoteView> = {
  ...ofNote,
  name: 'note:added',
  supersedes: 'nothing',
};

export const noteChanged: EventType<'note:changed', Note, NoteView> = {
  ...ofNote,
  name: 'note:changed',
  supersedes: 'previous',
};

/** For those who moderate: nobody yet. */
export const reportFiled: EventType<'report:filed', Note, NoteView> = {
  ...ofNote,
  name: 'report:filed',
  entityType: 'report',
  audience: () => 'role:moderator',
  supersedes: 'nothing',
};

export const noticePosted: EventType<'notice:posted', Note, NoteView> = {
  ...ofNote,
  name: 'notice:posted',
  entityType: 'notice',
  audience: () => 'public',
  supersedes: 'nothing',
};

export const noteEvents: readonly DeclaredEvent[] = [noteAdded, noteChanged, reportFiled, noticePosted];
