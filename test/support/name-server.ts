import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv4 } from 'node:net';

const TYPE_A = 1;
const TYPE_AAAA = 28;
const NO_SUCH_NAME = 3;

/** A name server on this machine. It answers with the addresses that a test gives it, and says of other names that there are none. */
export class NameServer {
  /** The addresses of names, as they are now. Undefined: it never answers. */
  readonly addresses = new Map<string, readonly string[] | undefined>();
  /** Names of which it never answers for IPv6. */
  readonly withoutIPv6 = new Set<string>();
  /** Questions that came. */
  asked = 0;
  readonly #socket: Socket = createSocket('udp4');

  static async start(): Promise<NameServer> {
    const server = new NameServer();
    server.#socket.on('message', (question, from) => server.#answer(question, from));
    await new Promise<void>((resolve) => server.#socket.bind(0, '127.0.0.1', resolve));
    return server;
  }

  /** As a resolver is told of it. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  /** RFC 1035, 4.1: the question is given back as it came, and what more it has is left out. */
  #answer(message: Buffer, { address, port }: RemoteInfo): void {
    this.asked += 1;
    const labels: string[] = [];
    let at = 12;
    for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
      labels.push(message.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = message.readUInt16BE(at + 1);
    const name = labels.join('.').toLowerCase();
    if (this.addresses.has(name) && this.addresses.get(name) === undefined) return;
    if (type === TYPE_AAAA && this.withoutIPv6.has(name)) return;
    const found = this.addresses.get(name)?.filter((each) => isIPv4(each) === (type === TYPE_A)) ?? [];
    const answers = type === TYPE_A || type === TYPE_AAAA ? found.map((each) => recordOf(type, each)) : [];
    const head = Buffer.alloc(12);
    message.copy(head, 0, 0, 2);
    head.writeUInt16BE(0x8180 | (this.addresses.has(name) ? 0 : NO_SUCH_NAME), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    this.#socket.send(Buffer.concat([head, message.subarray(12, at + 5), ...answers]), port, address);
  }
}

function recordOf(type: number, address: string): Buffer {
  const data = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : bytesOf6(address);
  const record = Buffer.alloc(12);
  record.writeUInt16BE(0xc00c, 0);
  record.writeUInt16BE(type, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(0, 6);
  record.writeUInt16BE(data.length, 10);
  return Buffer.concat([record, data]);
}

/** @param address in hexadecimal groups alone, with `::` once at most */
function bytesOf6(address: string): Buffer {
  const [before = [], after] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const missing = 8 - before.length - (after?.length ?? 0);
  const groups = [...before, ...Array<string>(after ? missing : 0).fill('0'), ...(after ?? [])];
  const bytes = Buffer.alloc(16);
  for (const [at, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), at * 2);
  return bytes;
}
