import * as parser from 'socket.io-parser';

/**
 * Socket.IO's decoder takes white space within a number, and any number of digits, for the number of an acknowledgement: it would answer a
 * request numbered `1 2` as `NaN` and 10^21 as `1e+21`, which no client can read. Such a packet is as malformed as any other,
 * and Socket.IO closes its connection.
 */
class Decoder extends parser.Decoder {
  constructor() {
    super();
    // Before Socket.IO listens: what throws here is not handed on to it.
    this.on('decoded', requireNumber);
  }
}

function requireNumber({ id }: parser.Packet): void {
  if (id !== undefined && !Number.isSafeInteger(id)) throw new Error('illegal acknowledgement number');
}

/** Socket.IO's protocol, but for that. */
export const protocol = { Encoder: parser.Encoder, Decoder };
