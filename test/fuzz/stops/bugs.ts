import type { Patch } from '../../faults/tree.ts';
import type { Hold } from './plan.ts';

/** A bug that the service has had or could have, as a change of its sources, and what a violation must say of it. */
export interface StopBug {
  patches: readonly Patch[];
  shows: RegExp;
  /** In how many waves of ended sessions it shows at the latest; 0: when the node stops. */
  waves: 0 | 1 | 5;
  /** What has to be held for it. Default: one after the other. */
  hold?: Hold;
}

const stream = 'server/transports/sse/event-stream.ts';
const poll = 'server/transports/long-poll/long-poll.ts';
const delivery = 'server/delivery/delivery.ts';
const server = 'server/server.ts';

/** Without it requests are looked at at once, also behind an unanswered one. */
const outOfTurn: Patch = {
  file: server,
  find: 'closePort = serveInTurn(front);',
  replace: 'closePort = () => new Promise((resolve) => front.close(() => resolve()));',
};

/**
 * Without these an error of a response has no listener, and what is written to it is not looked at before. Node passes over
 * what is written to a response that has been sent, so it is one that has ended before its turn which tells.
 */
const unguarded: readonly Patch[] = [
  outOfTurn,
  { file: server, find: "res.on('error', ignore);", replace: '' },
  { file: stream, find: 'if (!this.open) return;\n    this.#wroteAt', replace: 'this.#wroteAt' },
];

export const stopBugs = {
  'a stream is opened before its turn': {
    patches: [outOfTurn],
    shows: /cut|closed without an answer/,
    waves: 1,
  },
  'a stream that begins while the node stops is let in, and spins': {
    patches: [
      { file: delivery, find: 'if (this.#draining) throw draining();', replace: '' },
      {
        file: delivery,
        find: 'if (!subscriber.open) return;\n    // Now is when it came',
        replace:
          'if (this.#draining) void (async () => { while (subscriber.open) await null; })();\n    // Now is when it came',
      },
    ],
    shows: /event loop of .* was blocked|event loop is blocked|did not end within|SIGKILL/,
    waves: 0,
  },
  'a stream that is being opened when its session ends goes on writing': {
    patches: [
      ...unguarded,
      {
        file: 'server/delivery/replay.ts',
        find: "if (!subscriber.open) return;\n    if (reason === 'unread')",
        replace: "if (reason === 'unread')",
      },
      {
        file: stream,
        find: "if (code !== 'draining') setTimeout(() => this.terminate(), LAST_WORDS).unref();",
        replace: '',
      },
    ],
    shows: /write after end|uncaught exception/,
    waves: 1,
    hold: 'feed_head',
  },
  'a stream writes once more when it has said its end': {
    patches: [
      ...unguarded,
      {
        file: stream,
        find: 'setTimeout(() => this.terminate(), LAST_WORDS)',
        replace: "setTimeout(() => this.#res.write(':\\n'), LAST_WORDS)",
      },
    ],
    shows: /write after end|uncaught exception/,
    waves: 1,
  },
  'each response listens to its connection': {
    patches: [
      {
        file: 'server/async/response-end.ts',
        find: 'let ofSocket = waiting.get(socket);',
        replace: "socket.once('close', () => undefined);\n  let ofSocket = waiting.get(socket);",
      },
    ],
    shows: /MaxListenersExceededWarning/,
    waves: 1,
  },
  'a long-poll that is drained spins': {
    patches: [
      {
        file: poll,
        find: "if (code === 'draining' && this.greeted) this.#give();",
        replace: "if (code === 'draining') void (async () => { while (!this.ended) await null; })();",
      },
    ],
    shows: /event loop of .* was blocked|event loop is blocked|did not end within|SIGKILL/,
    waves: 0,
  },
  'a place stays taken when a request is aborted before it is answered': {
    patches: [
      {
        file: 'server/transports/entry.ts',
        find: 'whenOver(res, () => slot.release());',
        replace: 'whenOver(res, () => { if (res.headersSent) slot.release(); });',
      },
    ],
    shows: /places_taken is [1-9]/,
    waves: 1,
  },
  'a long-poll outlives its session while it is being read for': {
    patches: [
      {
        file: poll,
        find: "if (this.ended) return;\n    if (code === 'draining'",
        replace:
          "if (this.ended || (code === 'revoked' && !this.greeted)) return;\n    if (code === 'draining'",
      },
    ],
    shows: /outlives its session|after the end of its session/,
    waves: 5,
  },
  'the end of a renewed token is not waited for': {
    patches: [
      {
        file: 'server/transports/socketio/requests.ts',
        find: 'subscriber.identity = identity;\n      connections.add(subscriber);',
        replace: 'subscriber.identity = identity;',
      },
    ],
    shows: /(outlives its session|after the end of its session): socket/,
    waves: 5,
  },
  'streams that are still being opened are forgotten by a drain': {
    patches: [
      {
        file: delivery,
        find: 'const all = [...this.#subscribers];\n    const began',
        replace: 'const all = [...this.#subscribers].filter(({ greeted }) => greeted);\n    const began',
      },
    ],
    shows: /cut|without saying why|closed without an answer/,
    waves: 0,
  },
  'a stream that leaves while it is being opened is not forgotten': {
    patches: [
      {
        file: stream,
        find: 'whenOver(res, () => delivery.remove(stream));',
        replace: "res.once('finish', () => delivery.remove(stream));",
      },
    ],
    shows: /subscribers is [1-9]/,
    waves: 1,
  },
  'the timer of a long-poll outlives it': {
    patches: [
      {
        file: poll,
        find: 'leave(): void {\n    clearTimeout(this.#timer);',
        replace: 'leave(): void {',
      },
    ],
    shows: /timers more than before/,
    waves: 5,
  },
  'the last words of a stream are cut': {
    patches: [
      {
        file: stream,
        find: 'if (!this.#res.writableEnded) this.#res.end();',
        replace: 'this.terminate();',
      },
    ],
    shows: /cut/,
    waves: 1,
  },
  'the end of a logout is told to one stream of a user alone': {
    patches: [
      {
        file: 'server/delivery/connections.ts',
        find: "connection.end('revoked', 'The session has ended.');",
        replace: "connection.end('revoked', 'The session has ended.');\n      return;",
      },
    ],
    shows: /outlives its session|after the end of its session/,
    waves: 5,
  },
} satisfies Record<string, StopBug>;
