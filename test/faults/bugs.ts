import type { Rule } from './checker.ts';
import type { FaultName } from './faults.ts';
import type { Patch } from './tree.ts';

/** A bug that the service could have had, as a change of its sources, and how the harness must notice. */
export interface Bug {
  patches: readonly Patch[];
  /** One at least of the violations found must be of one of these rules. */
  rules: readonly Rule[];
  /** What brings it to light. */
  faults: readonly FaultName[];
}

const replay = 'server/delivery/replay.ts';
/** Writes a page event by event, each by this statement, in which `at` is its index and `seventh` says whether it is one in seven. */
const eachBy = (statement: string): Patch => ({
  file: 'server/delivery/subscriber.ts',
  find: 'const taken = to > from ? subscriber.writeEvents(view, from, to) : 0;',
  replace: `const taken = to - from; for (let at = from; at < to; at += 1) { const seventh = view.events[at]!.entry.seq % 7 === 0; ${statement} }`,
});
const join: Pick<Patch, 'file' | 'find'> = {
  file: replay,
  find: 'this.#members.join(subscriber);\n      return;',
};

const stream = 'server/transports/sse/event-stream.ts';
const poll = 'server/transports/long-poll/long-poll.ts';

export const bugs = {
  'a stream resumes one event too late': {
    patches: [
      {
        file: stream,
        find: 'delivery.admit(stream, after, epoch);',
        replace: 'delivery.admit(stream, after === undefined ? after : after + 1, epoch);',
      },
    ],
    rules: [3, 10],
    faults: ['all client connections cut'],
  },
  'a long-poll that waits begins from now': {
    patches: [
      {
        file: poll,
        find: 'poll.senders });\n    delivery.admit(poll, query.after, query.epoch);',
        replace: 'poll.senders });\n    delivery.admit(poll, waits ? undefined : query.after, query.epoch);',
      },
    ],
    rules: [10],
    faults: ['a third of the client connections cut'],
  },
  'an event names the one before the last': {
    patches: [
      {
        file: 'server/delivery/batch.ts',
        find: 'const event = { entry, prev: before };',
        replace: 'const event = { entry, prev: Math.max(0, before - 1) };',
      },
    ],
    rules: [3, 10],
    faults: ['a third of the client connections cut'],
  },
  'an event in seven is not written to the socket': {
    patches: [eachBy('if (!seventh) subscriber.writeEvents(view, at, at + 1);')],
    rules: [10],
    faults: ['a third of the client connections cut'],
  },
  'an event in seven is written to the socket twice': {
    patches: [
      eachBy(
        'subscriber.writeEvents(view, at, at + 1); if (seventh) subscriber.writeEvents(view, at, at + 1);',
      ),
    ],
    rules: [4],
    faults: ['a third of the client connections cut'],
  },
  'an event in seven is written to the socket after the next': {
    patches: [
      eachBy(
        'const write = () => subscriber.writeEvents(view, at, at + 1); if (seventh) setTimeout(write, 200); else write();',
      ),
    ],
    rules: [3, 10],
    faults: ['a third of the client connections cut'],
  },
  'now and then a vote counts twice': {
    patches: [
      {
        file: 'server/database/functions/cast_votes.sql',
        find: 'set votes = t.votes + c.by,',
        replace: 'set votes = t.votes + c.by + (random() < 0.2)::integer,',
      },
    ],
    rules: [7],
    faults: ['a third of the client connections cut'],
  },
  'an idempotency key is no reason not to write': {
    patches: [
      {
        file: 'server/database/functions/write_posts.sql',
        find: 'where s.key is null or s.id in (select c.post_id from claimed c)',
        replace: '',
      },
    ],
    rules: [4],
    faults: ['a third of the client connections cut'],
  },
  'numbering goes by the serial id, and never looks back': {
    patches: [
      {
        file: 'server/database/functions/number_events.sql',
        find: 'where o.id <= (',
        replace: 'where o.id > (select coalesce(max(e.outbox_id), 0) from event_log e) and o.id <= (',
      },
    ],
    rules: [1],
    faults: ['slow roads'],
  },
  'a resume joins the live room a moment late': {
    patches: [
      {
        ...join,
        replace:
          'setTimeout(() => { subscriber.standAt(this.#feed.seq); this.#members.join(subscriber); }, 30);\n return;',
      },
    ],
    rules: [10],
    faults: ['all client connections cut'],
  },
  'the cursor moves before the ring is loaded': {
    patches: [
      {
        file: 'server/log/ring-buffer.ts',
        find: 'this.#entries.push(entry);',
        replace: 'setTimeout(() => this.#entries.push(entry), 30);',
      },
      {
        file: 'server/log/ring-buffer.ts',
        find: 'return this.#last - (this.#entries.length - this.#start);',
        replace: 'return (this.#entries[this.#start]?.seq ?? this.#last + 1) - 1;',
      },
      {
        file: replay,
        find: 'if (subscriber.seq < this.#feed.seq) {',
        replace: 'if (told === REPLAY_PAGE) {',
      },
      { ...join, replace: 'subscriber.standAt(this.#feed.seq);\n this.#members.join(subscriber);\n return;' },
    ],
    rules: [10],
    faults: ['all client connections cut'],
  },
} satisfies Record<string, Bug>;
