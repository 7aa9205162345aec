/** What a stream and a page must keep, each by a name. */
export const rules = {
  log: 'The log is 1 … head without a hole',
  audience: 'Nobody receives an event that is for others, and every event has the audience that its kind has',
  topics:
    'Nobody receives an event that no topic of theirs has, by the relations as they stood at its number',
  missing: 'Whoever wants an event and may receive it is handed it, before anything behind it',
  once: 'No event comes twice, or behind a later one',
  chain: '`prev` lies at the event before it in the stream, or at a position behind that which was told',
  hidden: 'No event comes whose author was hidden from its number to the moment at which it came',
  block: 'After the answer to a block nothing by the blocked user comes',
  content: 'An event says the same to all, and what the log says',
  erased: 'What was taken out of the log is in no later replay',
  reset: 'No position is refused',
  behind: 'At rest everybody comes to the head in time',
  page: 'A page at a position has what the log says up to there',
  fold: 'A page at p with the stream (p, q] is the page at q',
  unread: 'The number of unread notifications is that of those in their list',
  notification: 'A list of notifications has one of each act, and none of what is gone or hidden',
  notified: 'Whom a moderator has done something to is notified of it once',
  ended: 'Nothing comes over the connections of a session that has ended',
  suspended: 'Who is suspended cannot log in, and can do so after that',
  replies: 'A count of replies is the number of those in their list',
  process: 'No node ends by itself, and nothing is answered with 500',
} as const;

export type Rule = keyof typeof rules;

export interface Violation {
  rule: Rule;
  what: string;
}
