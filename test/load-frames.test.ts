import { expect } from 'chai';
import fc from 'fast-check';
import { type AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { clientFrame, FrameError, FrameReader, PONG } from '../load/websocket-frames.ts';

/** A frame: a server's, or masked as a client's. */
function frameOf(payload: Buffer, mask?: Buffer): Buffer {
  const { length } = payload;
  const masked = mask ? 0x80 : 0;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = 0x81;
  if (length < 126) header[1] = masked | length;
  else if (length < 65_536) {
    header[1] = masked | 126;
    header.writeUInt16BE(length, 2);
  } else {
    header[1] = masked | 127;
    header.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!mask) return Buffer.concat([header, payload]);
  return Buffer.concat([header, mask, payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]);
}

describe('The load test’s own WebSocket framing', () => {
  it('cuts a stream into the same frames however it is torn', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(300), fc.constantFrom(0, 125, 126, 65_535, 65_536, 70_000)), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.option(
          fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
          { nil: undefined },
        ),
        (lengths, cuts, mask) => {
          const payloads = lengths.map((length, at) => Buffer.alloc(length, 97 + at));
          const bytes = Buffer.concat(payloads.map((payload) => frameOf(payload, mask)));
          const places = [
            0,
            ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b),
            bytes.length,
          ];
          const reader = new FrameReader(mask ? 'client' : 'server');
          const read: string[] = [];
          const shared = Buffer.alloc(bytes.length);
          for (const [at, place] of places.slice(1).entries()) {
            // As sockets do that share a buffer: what a chunk held is overwritten by the next.
            const count = bytes.copy(shared, 0, places[at], place);
            reader.read(shared.subarray(0, count), (_opcode, payload) => read.push(payload.toString()));
            shared.fill(0);
          }
          expect(read).to.deep.equal(payloads.map(String));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('refuses fragments, the wrong masks and payloads beyond reason', () => {
    const read = (...bytes: number[]) => new FrameReader().read(Buffer.from(bytes), () => undefined);
    const bare = () => new FrameReader('client').read(Buffer.from([0x81, 0x01, 0x61]), () => undefined);
    expect(bare).to.throw(FrameError);
    expect(() => read(0x01, 0x01, 0x61)).to.throw(FrameError);
    expect(() => read(0x81, 0x81, 0, 0, 0, 0, 0x61)).to.throw(FrameError);
    expect(() => read(0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0)).to.throw(FrameError);
  });

  it('writes frames that ws reads', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      const heard = new Promise<string[]>((resolve) => {
        server.on('connection', (socket) => {
          const texts: string[] = [];
          socket.on('message', (data: Buffer) => {
            texts.push(data.toString());
            if (texts.length === 2) resolve(texts);
          });
        });
      });
      const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
      await new Promise((resolve) => client.once('open', resolve));
      const { _socket: tcp } = client as unknown as { _socket: { write(bytes: Buffer): void } };
      tcp.write(clientFrame('40{"token":"é"}'));
      tcp.write(clientFrame(Buffer.from('x'), PONG));
      tcp.write(clientFrame('y'.repeat(300)));
      expect(await heard).to.deep.equal(['40{"token":"é"}', 'y'.repeat(300)]);
      client.terminate();
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
