/**
 * As much of RFC 6455 as a listening client needs. A library spends some 10 kB on a connection; this, a few hundred bytes
 * besides the socket.
 */

/** The request that turns a connection into a WebSocket of Engine.IO. */
export function upgradeRequest(url: URL): string {
  return (
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n' +
    `Host: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    // Any 16 bytes: they protect caches from confusion, and nobody from anything else.
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGlkaW5ncyBsb2FkIHRlcw==\r\n\r\n'
  );
}

export const TEXT = 1;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** A frame from a client: masked, as the protocol demands, with a mask of zeros, which changes nothing. */
export function clientFrame(payload: string | Buffer, opcode = TEXT): Buffer {
  const data = typeof payload === 'string' ? Buffer.from(payload) : payload;
  if (data.length > 0xffff) throw new Error('a client frame of this tool is at most 64 kB');
  const header = data.length < 126 ? 2 : 4;
  const frame = Buffer.alloc(header + 4 + data.length);
  frame[0] = 0x80 | opcode;
  if (header === 2) frame[1] = 0x80 | data.length;
  else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(data.length, 2);
  }
  data.copy(frame, header + 4);
  return frame;
}

/** Called for each whole frame; the payload is a view that is valid only during the call. */
export type OnFrame = (opcode: number, payload: Buffer) => void;

/** A frame that cannot be read here: one masked as the other end's are, a fragment, or a payload beyond any of Tidings's. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const MAX_PAYLOAD = 16 * 1024 * 1024;
/** The bit that says that a mask follows, and the mask's length. */
const MASKED = 0x80;
const MASK = 4;

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  return payload.map((byte, at) => byte ^ (mask[at % MASK] ?? 0)) as Buffer;
}

/** Cuts a stream of bytes into frames. Between two calls it holds only what is not yet whole. */
export class FrameReader {
  readonly #mask: number;
  #rest: Buffer | undefined;

  /** @param from which end's frames: a client's are masked, a server's are not */
  constructor(from: 'server' | 'client' = 'server') {
    this.#mask = from === 'client' ? MASK : 0;
  }

  /** @throws {FrameError} */
  read(chunk: Buffer, onFrame: OnFrame): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    for (;;) {
      const end = this.#frame(bytes, at, onFrame);
      if (end === undefined) break;
      at = end;
    }
    // A copy: the chunk may lie in a buffer that is shared by all connections.
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined;
  }

  /** Reads the frame that begins here; gives where the next begins, or undefined if it is not whole. */
  #frame(bytes: Buffer, at: number, onFrame: OnFrame): number | undefined {
    const first = bytes[at];
    const second = bytes[at + 1];
    if (first === undefined || second === undefined) return undefined;
    if ((first & 0xf0) !== 0x80) throw new FrameError('a fragment or a reserved bit');
    if ((second & MASKED) !== (this.#mask > 0 ? MASKED : 0))
      throw new FrameError(`a ${this.#mask > 0 ? 'bare' : 'masked'} frame`);
    let length = second & ~MASKED;
    let start = at + 2;
    if (length === 126) {
      if (bytes.length < at + 4) return undefined;
      length = bytes.readUInt16BE(at + 2);
      start = at + 4;
    } else if (length === 127) {
      if (bytes.length < at + 10) return undefined;
      length = Number(bytes.readBigUInt64BE(at + 2));
      start = at + 10;
    }
    if (length > MAX_PAYLOAD) throw new FrameError(`a payload of ${length} bytes`);
    const end = start + this.#mask + length;
    if (bytes.length < end) return undefined;
    const payload = bytes.subarray(start + this.#mask, end);
    onFrame(first & 0x0f, this.#mask > 0 ? unmasked(payload, bytes.subarray(start, start + MASK)) : payload);
    return end;
  }
}
