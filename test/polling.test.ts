import { expect } from 'chai';
import { type RawRequest, rawRequest } from './support/raw-request.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

/** What one POST of long-polling may hold. Bytes. */
const MAX_BODY = 16 * 1024;

describe('long-polling by hand', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
  });
  after(() => world.close());

  const PATH = '/socket.io/?EIO=4&transport=polling';
  const connections = () => (world.server.service.gateway.io.engine as { clientsCount: number }).clientsCount;

  /** A new session of Engine.IO. */
  async function open(): Promise<string> {
    const { status, body } = await rawRequest<string>(world.url, { path: PATH });
    expect(status).to.equal(200);
    return (JSON.parse(body.slice(1)) as { sid: string }).sid;
  }
  const say = (sid: string, packets: string, headers: RawRequest['headers'] = {}): Promise<Answer> =>
    rawRequest(world.url, {
      method: 'POST',
      path: `${PATH}&sid=${sid}`,
      headers: { 'content-type': 'text/plain;charset=UTF-8', ...headers },
      body: packets,
    });
  const hear = (sid: string): Promise<Answer<string>> =>
    rawRequest<string>(world.url, { path: `${PATH}&sid=${sid}` });
  const isGone = async (sid: string) => (await say(sid, '3')).status === 400;

  it('has five seconds to say who it is, whether it waits for an answer or not', async () => {
    const watch = new Stopwatch();
    const [silent, waiting] = [await open(), await open()];
    const heard = hear(waiting);
    expect(connections()).to.equal(2);
    await until('both to be gone', () => connections() === 0);
    expect(watch.passed).to.be.at.least(4500);
    expect(watch.ran).to.be.below(6000);
    // It is answered, and not left hanging.
    expect((await heard).status).to.be.below(500);
    for (const sid of [silent, waiting]) expect(await isGone(sid)).to.be.true;
  });

  it('is handed no event any more when its session has ended, and is told why', async () => {
    const bob = await world.user();
    const sid = await open();
    await say(sid, `40${JSON.stringify({ token: bob.token })}`);
    let heard = '';
    while (!heard.includes('42["ready"')) heard += (await hear(sid)).body;
    const engine = world.server.service.gateway.io.engine as unknown as {
      clients: Record<string, { writeBuffer: unknown[] }>;
    };
    await ada.post('/posts', { title: 'said before the end', content: '' });
    await until('the event to wait', () => (engine.clients[sid]?.writeBuffer.length ?? 0) > 0);
    await bob.post('/logout');
    const { body } = await hear(sid);
    expect(body).to.include('42["session:closed"').and.include('"revoked"');
    expect(body).to.not.include('said before the end');
  });

  it('may say as much as 16 KiB at once; what is larger is refused whole, announced or not', async () => {
    const padded = (bytes: number) => {
      const connect = `40${JSON.stringify({ token: ada.token, padding: '' })}`;
      return connect.replace('""', `"${'x'.repeat(bytes - connect.length)}"`);
    };
    const sid = await open();
    for (const headers of [{}, { 'transfer-encoding': 'chunked', 'content-length': [] }]) {
      expect((await say(sid, padded(MAX_BODY + 1), headers)).status).to.equal(413);
      expect((await say(sid, padded(MAX_BODY))).status).to.equal(200);
      // Its field is a fault, and that is told once: of the other nothing was read.
      const { body } = await hear(sid);
      expect(body.split('\x1e')).to.have.lengthOf(1);
      expect(body).to.match(/^44.*"padding"/);
    }
  });
});
