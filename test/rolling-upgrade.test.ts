import { expect } from 'chai';
import pg from 'pg';
import { io, type Socket } from 'socket.io-client';
import type { FeedEvent, Position, Ready } from '../server/contract.ts';
import { feedEventNames } from './support/feed-event-names.ts';
import type { NodeProcess } from './support/node-process.ts';
import { type TwoVersions, twoVersions, VERSIONS_BEFORE } from './support/two-versions.ts';
import { until } from './support/waiting.ts';
import { Api, logIn, signUp, type TestUser } from './support/world.ts';

/** A stock client: it keeps the last seq, and says it at each reconnection. */
class Listener {
  readonly heard: { name: string; seq: number; data: { id: number; title?: string } }[] = [];
  readonly outcomes: string[] = [];
  readonly start: number;
  readonly #epoch: string;
  #socket: Socket | undefined;
  #url: string;
  readonly #token: string;

  constructor(url: string, token: string, start: number, epoch: string) {
    this.#url = url;
    this.#token = token;
    this.start = start;
    this.#epoch = epoch;
    this.connect(url);
  }

  connect(url: string): void {
    this.#socket?.disconnect();
    this.#url = url;
    const socket = io(this.#url, {
      transports: ['websocket'],
      forceNew: true,
      auth: (give) =>
        give({ token: this.#token, after: this.heard.at(-1)?.seq ?? this.start, epoch: this.#epoch }),
    });
    this.#socket = socket;
    for (const name of feedEventNames)
      socket.on(name, (data: { id: number }, { seq }: Position) => this.heard.push({ name, seq, data }));
    socket.on('ready', ({ outcome }: Ready) => this.outcomes.push(outcome));
  }

  stop(): void {
    this.#socket?.disconnect();
  }
}

describe('a rolling upgrade from the version whose log knew posts alone', () => {
  let versions: TwoVersions;
  let old: NodeProcess;
  let fresh: NodeProcess;
  const listeners: Listener[] = [];

  before(async function () {
    const both = await twoVersions(VERSIONS_BEFORE.posts);
    if (!both) return this.skip();
    versions = both;
    ({ old, fresh } = versions);
  });
  after(async () => {
    for (const listener of listeners) listener.stop();
    await versions?.close();
  });

  const query = async <T extends object>(text: string): Promise<T[]> => {
    const client = new pg.Client({ connectionString: versions.databaseUrl });
    await client.connect();
    try {
      return (await client.query<T>(text)).rows;
    } finally {
      await client.end();
    }
  };
  const post = async (by: Api, title: string, key?: string) => {
    const headers = key === undefined ? {} : { 'idempotency-key': key };
    const answer = await by.post<{ id: number }>('/posts', { title, content: `of ${title}` }, headers);
    expect(answer.status).to.equal(201);
    return answer.body;
  };
  const done = async (answer: Promise<{ status: number }>) =>
    expect((await answer).status).to.be.within(200, 204);
  /** One of each write, with a text that each is the last to have. */
  const writeOfEach = async (user: Api, label: string) => {
    const kept = await post(user, `${label} kept`, `key-${label.replaceAll(' ', '-')}`);
    expect(await post(user, `${label} kept`, `key-${label.replaceAll(' ', '-')}`)).to.deep.equal(kept);
    await post(user, `${label} stays`);
    const edited = await post(user, `${label} secret`);
    await done(user.patch(`/posts/${edited.id}`, { title: `${label} edited`, content: 'edited' }));
    const gone = await post(user, `${label} secret`);
    await done(user.delete(`/posts/${gone.id}`));
    const withdrawn = await post(user, `${label} secret`);
    await done(user.patch(`/posts/${withdrawn.id}`, { published: false }));
  };
  const eventsAt = async (one: NodeProcess, user: TestUser) =>
    (
      await new Api(one.url, user.token).get<{ events: FeedEvent[]; head: number }>(
        '/events?after=0&limit=500',
      )
    ).body;

  it('loses, doubles and leaks nothing on either side, in either direction', async () => {
    await old.start();
    const ada = await signUp(old.url, 'ada');
    const reader = await signUp(old.url, 'reader');
    await writeOfEach(ada, 'before');
    const list = await reader.get('/posts');
    const epoch = list.headers.get('x-feed-epoch') ?? '';
    listeners.push(new Listener(old.url, reader.token, 0, epoch));
    await until('the old node to tell all', () => listeners[0]!.heard.length >= 8);

    // It migrates under the old node, which continues writing meanwhile.
    const starting = fresh.start();
    let meanwhile = 0;
    const writing = (async () => {
      while (!fresh.output.includes('Tidings is ready')) {
        await post(ada, `meanwhile ${(meanwhile += 1)}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    await Promise.all([starting, writing]);
    expect(meanwhile).to.be.above(5);
    listeners.push(new Listener(fresh.url, reader.token, 0, epoch));

    const adaNew = new Api(fresh.url, ada.token);
    for (const [label, user] of [
      ['on the old one', ada],
      ['on the new one', adaNew],
    ] as const)
      await writeOfEach(user, label);
    // A name of the old version, and one of the new.
    await done(ada.patch('/users/me', { username: 'ada-old' }));
    await done(adaNew.patch('/users/me', { username: 'ada-new' }));
    const leaving = await logIn(fresh.url, await signUp(fresh.url, 'leaving'));
    await post(leaving, 'leaving secret');
    await done(leaving.delete('/users/me', { password: leaving.password }));
    const [{ seq: head } = { seq: 0 }] = await query<{ seq: number }>(
      'select (seq + (select count(*) from event_outbox))::integer as seq from feed_head',
    );
    for (const listener of listeners)
      await until('a listener to be at the head', () => (listener.heard.at(-1)?.seq ?? 0) >= head);

    // An old node starts again on the new schema; a client of it continues at the new one, and the reverse.
    await old.stop();
    listeners[0]!.connect(fresh.url);
    await post(adaNew, 'while the old one is away');
    await old.start();
    listeners[1]!.connect(old.url);
    await post(ada, 'after it has come back');
    await until('both to hear it', () =>
      listeners.every(({ heard }) => heard.at(-1)?.data.title === 'after it has come back'),
    );

    for (const { heard, outcomes } of listeners) {
      expect(heard.map(({ seq }) => seq)).to.deep.equal(heard.map((_, at) => at + 1));
      expect(outcomes).not.to.include('reset');
    }
    // What either node replays is the same, and has no text that was taken out.
    const [byOld, byNew] = await Promise.all([eventsAt(old, reader), eventsAt(fresh, reader)]);
    for (const { events } of [byOld, byNew])
      expect(events.filter((event) => /secret|"ada"|ada-old/.test(JSON.stringify(event)))).to.deep.equal([]);
    expect(byNew.head).to.equal(byOld.head);
    expect(byNew.events.map(({ prev: _prev, ...event }) => event)).to.deep.equal(byOld.events);
    await until('the log to be cut', async () => (await query('select from event_redactions')).length === 0);
    const [{ secrets } = { secrets: -1 }] = await query<{ secrets: number }>(
      `select count(*)::integer as secrets from event_log where data::text ~ 'secret|"ada"|ada-old'`,
    );
    expect(secrets).to.equal(0);
    // What an old node has appended says what a new one would have, but before the migration.
    const rows = await query(
      'select distinct entity_type, audience, topics[1] as topic, redaction from event_log order by redaction',
    );
    expect(rows).to.deep.equal([
      { entity_type: 'post', audience: 'public', topic: 'feed', redaction: [] },
      {
        entity_type: 'post',
        audience: 'public',
        topic: 'feed',
        redaction: ['title', 'content', 'owner.username'],
      },
      {
        entity_type: 'post',
        audience: 'public',
        topic: 'feed',
        redaction: ['title', 'content', 'owner.username', 'tags', 'mentions'],
      },
    ]);
    expect(await versions.findings()).to.deep.equal([]);
    expect([...old.misconduct, ...fresh.misconduct]).to.deep.equal([]);
  });
});
