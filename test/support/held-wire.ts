import { FrameError, FrameReader, TEXT } from '../../load/websocket-frames.ts';
import { HeldFrames } from './held-frames.ts';
import type { Direction, Tap } from './tcp-proxy.ts';

const HEADERS_END = '\r\n\r\n';
/** A handshake is shorter. Bytes. */
const MOST_HEADERS = 16 * 1024;

/**
 * A tap for a proxy between clients and nodes: holds the frames of every WebSocket that passes against the AsyncAPI
 * document, and changes nothing. Other HTTP passes unread.
 * @param tell hears each fault. Default: the run fails at its end
 */
export function heldWire(tell?: (fault: string) => void): Tap {
  const wires = new WeakMap<object, Wire>();
  return (piece, direction, connection) => {
    let wire = wires.get(connection);
    if (!wire) wires.set(connection, (wire = new Wire(tell)));
    wire.look(piece, direction);
    return piece;
  };
}

class Wire {
  readonly #held: HeldFrames;
  readonly #readers = { toServer: new FrameReader('client'), toClient: new FrameReader('server') };
  readonly #headers: Record<Direction, Buffer | undefined> = {
    toServer: Buffer.alloc(0),
    toClient: Buffer.alloc(0),
  };
  #isWebSocket = true;

  constructor(tell?: (fault: string) => void) {
    this.#held = new HeldFrames({ clientIsOurs: true, ...(tell ? { tell } : {}) });
  }

  look(piece: Buffer, direction: Direction): void {
    if (!this.#isWebSocket) return;
    const frames = this.#afterHeaders(piece, direction);
    if (!frames || frames.length === 0) return;
    try {
      this.#readers[direction].read(frames, (opcode, payload) => {
        if (opcode !== TEXT) return;
        if (direction === 'toServer') this.#held.said(payload.toString());
        else this.#held.heard(payload.toString());
      });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#held.broken(error.message);
      this.#isWebSocket = false;
    }
  }

  /** What follows the handshake; undefined while it is not over. */
  #afterHeaders(piece: Buffer, direction: Direction): Buffer | undefined {
    const before = this.#headers[direction];
    if (!before) return piece;
    const head = before.length === 0 ? piece : Buffer.concat([before, piece]);
    const end = head.indexOf(HEADERS_END);
    if (end < 0) {
      this.#headers[direction] = Buffer.from(head);
      if (head.length > MOST_HEADERS) this.#isWebSocket = false;
      return undefined;
    }
    this.#headers[direction] = undefined;
    const text = head.toString('latin1', 0, end);
    this.#isWebSocket =
      direction === 'toServer' ? /^upgrade: *websocket/im.test(text) : text.startsWith('HTTP/1.1 101');
    return this.#isWebSocket ? head.subarray(end + HEADERS_END.length) : undefined;
  }
}
