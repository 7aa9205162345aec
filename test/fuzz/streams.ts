import { connect } from 'node:net';
import { type Campaign, inTurns } from './campaign.ts';
import { mutateBytes } from './mutation.ts';

const upgrade =
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
const TIME_LIMIT = 50;

/** Sends bytes that only begin as a WebSocket: a handshake, sometimes a mutated one, and then frames that break its rules. */
export function fuzzStreams(campaign: Campaign, count: number): Promise<number> {
  const { random, urls, note, violate, over } = campaign;
  return inTurns(count, over, async (at) => {
    const own = random.fork();
    const head = own.chance(0.8) ? Buffer.from(upgrade) : mutateBytes(Buffer.from(upgrade), own);
    const body = Buffer.concat(Array.from({ length: 1 + own.below(6) }, () => frame(own)));
    const bytes = Buffer.concat([head, own.chance(0.5) ? body : mutateBytes(body, own)]);
    note(`stream ${at}: ${bytes.toString('base64').slice(0, 600)}`);
    const { hostname, port } = new URL(urls[at % urls.length] ?? '');
    const answer = await new Promise<string>((resolve) => {
      const tcp = connect(Number(port), hostname, () => tcp.write(bytes));
      let said = '';
      const timer = setTimeout(() => tcp.destroy(), TIME_LIMIT);
      tcp.on('data', (chunk) => (said += chunk.toString('latin1')));
      tcp.on('error', () => undefined); // a close follows
      tcp.on('close', () => {
        clearTimeout(timer);
        resolve(said);
      });
    });
    if (answer.startsWith('HTTP/1.1 5')) violate(answer.split('\r\n', 1)[0] ?? '', bytes.toString('base64'));
    return 1;
  });
}

/** One frame of RFC 6455, in which anything may be wrong: opcode, reserved bits, length, mask, UTF-8. */
function frame(own: Campaign['random']): Buffer {
  const payload = Buffer.from(Array.from({ length: own.below(140) }, () => own.below(256)));
  if (own.chance(0.5)) payload.write('42["track",{"post_ids":[1]}]'.slice(0, payload.length));
  const first = own.chance(0.6) ? own.pick([0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8a]) : own.below(256);
  const masked = own.chance(0.8) ? 0x80 : 0;
  const length = own.pick([
    Buffer.from([masked | Math.min(125, payload.length)]),
    Buffer.from([masked | 126, own.below(256), own.below(256)]),
    Buffer.from([masked | 127, ...Array.from({ length: 8 }, () => own.below(256))]),
    Buffer.from([masked | (payload.length % 128)]),
  ]);
  return Buffer.concat([Buffer.from([first]), length, Buffer.from(masked ? [0, 0, 0, 0] : []), payload]);
}
