import type { Tap } from '../support/tcp-proxy.ts';
import type { Random } from './random.ts';

/**
 * A bad road from Redis to a subscriber: of its messages one in twenty is lost, one in twenty comes twice, one in twenty
 * comes after the next. Answers to commands pass untouched, or the connection would break instead.
 * @returns the tap, to be left where it is, and what makes the road good again
 */
export function mangler(random: Random): { tap: Tap; calm: () => void } {
  const streams = new WeakMap<object, { rest: Buffer; late: Buffer | undefined }>();
  let calm = false;
  const tap: Tap = (piece, direction, connection) => {
    if (direction === 'toServer') return piece;
    if (calm) {
      // The beginning of a message may have been held back.
      const { rest = Buffer.alloc(0) } = streams.get(connection) ?? {};
      streams.delete(connection);
      return Buffer.concat([rest, piece]);
    }
    const stream = streams.get(connection) ?? { rest: Buffer.alloc(0), late: undefined };
    streams.set(connection, stream);
    const data = Buffer.concat([stream.rest, piece]);
    const out: Buffer[] = [];
    let at = 0;
    for (let end = endOfReply(data, at); end !== undefined; end = endOfReply(data, at)) {
      const reply = data.subarray(at, end);
      at = end;
      const fate = isMessage(reply) ? random.below(20) : -1;
      if (fate === 0) continue;
      if (fate === 1) out.push(reply, reply);
      else if (fate === 2 && !stream.late) {
        stream.late = Buffer.from(reply);
        continue;
      } else out.push(reply);
      if (stream.late) out.push(stream.late);
      stream.late = undefined;
    }
    stream.rest = Buffer.from(data.subarray(at));
    return Buffer.concat(out);
  };
  return { tap, calm: () => (calm = true) };
}

function isMessage(reply: Buffer): boolean {
  return /^[*>]\d+\r\n\$\d+\r\np?s?message\r\n/.test(reply.subarray(0, 40).toString('latin1'));
}

/** Where the reply (RESP 2 and 3, as far as Redis sends them here) that begins at `from` ends; undefined if it is not whole. */
function endOfReply(data: Buffer, from: number): number | undefined {
  const line = data.indexOf('\r\n', from);
  if (line < 0) return undefined;
  const end = line + 2;
  const size = Number(data.toString('latin1', from + 1, line));
  switch (String.fromCharCode(data[from] ?? 0)) {
    case '$':
    case '=':
      if (size < 0) return end;
      return data.length >= end + size + 2 ? end + size + 2 : undefined;
    case '*':
    case '>':
    case '~':
      return endOfReplies(data, end, size);
    case '%':
      return endOfReplies(data, end, size * 2);
    default:
      return end;
  }
}

function endOfReplies(data: Buffer, from: number, count: number): number | undefined {
  let at: number | undefined = from;
  for (let left = count; left > 0 && at !== undefined; left -= 1) at = endOfReply(data, at);
  return at;
}
