import { expect } from 'chai';
import { migrate } from '../server/database/migrate.ts';
import { CannotMount, FaultyPostgres } from './faults/postgres.ts';
import { EventStream } from './support/event-stream.ts';
import { expectProblem } from './support/problems.ts';
import { RawClient } from './support/raw-client.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** Of PostgreSQL's disk: a new cluster takes some fifty. */
const DISK_MIB = 160;
/** How soon after there is room a write must be taken. Milliseconds. */
const TAKEN_WITHIN = 3000;

describe('a database whose disk is full', () => {
  let postgres: FaultyPostgres | undefined;
  let world: World;
  let ada: TestUser;
  let socket: RawClient;
  let stream: EventStream;

  before(async function () {
    try {
      postgres = await FaultyPostgres.start({ diskMiB: DISK_MIB });
    } catch (error) {
      if (!(error instanceof CannotMount)) throw error;
      console.log(`      skipped, since ${error.message.split('\n')[0]}`);
      this.skip();
    }
    await postgres.query('postgres', 'create database tidings');
    const url = postgres.url('tidings');
    await migrate(url);
    world = await createWorld({}, { url, drop: () => Promise.resolve() });
    ada = await world.user();
    socket = await RawClient.join(world.url, { token: ada.token });
    stream = await EventStream.open(ada);
  });
  after(async () => {
    if (!postgres) return;
    stream.close();
    socket.terminate();
    await world.close();
    await postgres.stop();
  });

  it('refuses writes and says so, drops nobody, and takes writes as soon as there is room again', async () => {
    const acknowledged: number[] = [];
    const write = async () => {
      const answer = await ada.post<{ id: number }>('/posts', { title: 'long', content: 'x'.repeat(10_000) });
      if (answer.status === 201) acknowledged.push(answer.body.id);
      return answer;
    };
    expect((await write()).status).to.equal(201);
    await postgres!.fillDisk();

    await until('a write to be refused', async () => {
      const answer = await write();
      if (answer.status === 201) return false;
      expectProblem(answer, 503, 'unavailable');
      expect(answer.headers.get('retry-after')).to.match(/^\d+$/);
      return true;
    });
    const readiness = () => world.anonymous.get<{ parts: { writes: { status: string } } }>('/readyz');
    let answer: Awaited<ReturnType<typeof readiness>> | undefined;
    await until('readiness to tell', async () => {
      answer = await readiness();
      return answer.status === 503 && answer.body.parts.writes.status === 'down';
    });
    expect(answer?.body.parts.writes).to.deep.equal({
      status: 'down',
      reason: 'The disk of the database is full.',
    });
    expect((await ada.get<unknown[]>('/posts')).body, 'reads go on').to.have.length.above(0);

    const before = acknowledged.length;
    await postgres!.clearDisk();
    await until('a write to be taken', async () => (await write()).status === 201, TAKEN_WITHIN);
    await until('readiness', async () => (await readiness()).status === 200);
    expect(acknowledged).to.have.length(before + 1);

    const { rows } = await world.pool.query<{ id: number }>('select id::integer from posts order by id');
    expect(rows.map(({ id }) => id)).to.include.members(acknowledged);
    const told = () => socket.heard('post:created').map(([post]) => (post as { id: number }).id);
    await until('every acknowledged post to be told', () => told().length >= acknowledged.length);
    expect(told(), 'in order, each once').to.deep.equal(rows.map(({ id }) => id));
    const seqs = socket.seqs();
    expect(seqs).to.deep.equal(seqs.map((_, at) => at + 1));
    await until(
      'the stream too',
      () => stream.heard.filter(({ event }) => event === 'post:created').length === seqs.length,
    );
    expect(socket.closed).to.equal(false);
  });
});
