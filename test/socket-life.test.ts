import { expect } from 'chai';
import jwt from 'jsonwebtoken';
import pg from 'pg';
import type { Problem } from '../server/contract.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { firstFault, readyOf, record } from './support/sockets.ts';
import { rows } from './support/tables.ts';
import { Stopwatch, until } from './support/waiting.ts';
import { createWorld, logIn, PASSWORD, type TestSocket, type TestUser, type World } from './support/world.ts';

const SECRET = 'a secret of a test that is long enough';

type Answer = { ok: true; data: { expires_at: string } } | { ok: false; error: Problem };

describe("a socket's life", () => {
  let world: World;
  let alice: TestUser;
  let bob: TestUser;

  before(async () => {
    world = await createWorld({ JWT_SECRET: SECRET });
    alice = await world.user('alice');
    bob = await world.user('bob');
  });
  afterEach(endRawClients);
  after(() => world.close());

  /** A token of the same session with another end. */
  const withEnd = (user: TestUser, expiresAt: number) =>
    jwt.sign({ ...(jwt.decode(user.token) as object), exp: Math.floor(expiresAt / 1000) }, SECRET);

  const renew = (socket: TestSocket, token: string): Promise<Answer> =>
    socket.timeout(30_000).emitWithAck('auth:renew', { token });

  /** What a stock client sees of its end: the code, and then the reason of Socket.IO. */
  const endOf = (socket: TestSocket) => {
    const seen: string[] = [];
    socket.on('session:closed', ({ code }) => seen.push(code));
    socket.on('disconnect', (reason) => seen.push(reason));
    return seen;
  };

  const write = () => bob.post('/posts', { title: 'a post', content: '' });

  it('is told that its token ends soon, and is closed within a second after it has', async () => {
    const expiresAt = Math.floor(Date.now() / 1000) * 1000 + 6000;
    const watch = new Stopwatch();
    const client = await RawClient.join(world.url, { token: withEnd(alice, expiresAt) });
    await until('the notice', () => client.heard('session:expiring').length === 1);
    expect(client.heard('session:expiring')[0]?.[0]).to.deep.equal({
      expires_at: new Date(expiresAt).toISOString(),
    });
    expect(Date.now() - watch.paused).to.be.below(expiresAt);
    await until('the end', () => client.heard('session:closed').length > 0);
    expect(client.heard('session:closed')[0]?.[0]).to.include({ code: 'expired' });
    // The node is to blame for a second at most; a busy machine for a little more.
    expect(Date.now() - expiresAt).to.be.at.least(0);
    expect(Date.now() - expiresAt - watch.paused).to.be.below(1500);
    await write();
    await until('the connection to be closed', () => client.closed);
    expect(client.events.at(-1)?.name).to.equal('session:closed');
    expect(client.heard('session:expiring')).to.have.lengthOf(1);
  });

  it("ends for a stock client with the server's word, so that it does not come back by itself", async () => {
    const socket = world.socket({ token: withEnd(alice, Date.now() + 5000) });
    const seen = endOf(socket);
    await readyOf(socket);
    await until('the end', () => seen.length === 2);
    expect(seen).to.deep.equal(['expired', 'io server disconnect']);
    expect(socket.active).to.be.false;
  });

  it('continues with a fresh token, in place and without losing an event', async () => {
    // Each has half of this to be renewed in, on a machine that stands still for a while too. Milliseconds.
    const LIVES = 8000;
    const socket = world.socket({ token: withEnd(alice, Date.now() + LIVES) });
    const heard = record(socket);
    const seen = endOf(socket);
    const notices: number[] = [];
    socket.on('session:expiring', () => {
      notices.push(Date.now());
      void renew(socket, withEnd(alice, Date.now() + (notices.length < 3 ? LIVES : 600_000)));
    });
    const { seq } = await readyOf(socket);
    const { id } = socket;
    while (notices.length < 3) await write();
    // And no fourth.
    for (const ends = Date.now() + 500; Date.now() < ends;) await write();
    const newest = world.ctx.feed.seq;
    await until('all events', () => (heard.at(-1)?.seq ?? 0) >= newest);
    expect(
      firstFault(
        heard.map((event) => event.seq),
        seq,
      ),
    ).to.be.undefined;
    expect(seen).to.be.empty;
    expect(socket.id).to.equal(id);
    // Each short token is called expiring once, when half of it has passed: no storm of renewals.
    expect(notices).to.have.lengthOf(3);
    for (const at of [1, 2]) expect(notices[at]! - notices[at - 1]!).to.be.above(400);
    socket.disconnect();
  });

  it("takes no other user's token, no bad one and none of a session that has ended", async () => {
    const socket = world.socket({ token: alice.token });
    await readyOf(socket);
    const ended = await logIn(world.url, alice);
    const token = ended.token;
    await ended.post('/logout');
    const refusals: [unknown, number][] = [
      [bob.token, 403],
      ['garbage', 401],
      [withEnd(alice, Date.now() - 1000), 401],
      [alice.refreshToken, 401],
      [token, 401],
      ['', 422],
      [undefined, 422],
      [7, 422],
    ];
    for (const [given, status] of refusals) {
      const answer = await renew(socket, given as string);
      expect(answer.ok ? 200 : answer.error.status, String(given)).to.equal(status);
    }
    expect(socket.connected).to.be.true;
    expect((await renew(socket, alice.token)).ok).to.be.true;
    await until('no other to be left', () => world.ctx.connections.countOf(alice.id) === 1);
    socket.disconnect();
    await until('it to be forgotten', () => world.ctx.connections.countOf(alice.id) === 0);
  });

  it('moves to the session of its new token, and ends with that one and not with the old', async () => {
    const [first, second] = [await logIn(world.url, alice), await logIn(world.url, alice)];
    const socket = world.socket({ token: first.token });
    const seen = endOf(socket);
    await readyOf(socket);
    expect((await renew(socket, second.token)).ok).to.be.true;
    await first.post('/logout');
    await write();
    expect((await renew(socket, second.token)).ok).to.be.true;
    expect(seen).to.be.empty;
    await second.post('/logout');
    await until('the end', () => seen.length === 2);
    expect(seen).to.deep.equal(['revoked', 'io server disconnect']);
  });

  it('does not move to a session that ends while it is looked up', async () => {
    const [first, second] = [await logIn(world.url, alice), await logIn(world.url, alice)];
    const client = await RawClient.join(world.url, { token: first.token });
    const database = new pg.Client({ connectionString: world.databaseUrl });
    await database.connect();
    try {
      await database.query('begin');
      await database.query('lock table sessions in access exclusive mode');
      const { connections } = world.ctx;
      const before = connections.countOf(alice.id);
      client.emit('auth:renew', { token: second.token }, 1);
      await until('the look-up', () => connections.countOf(alice.id) === before + 1);
      const { sid } = jwt.decode(second.token) as { sid: string };
      connections.endSessions({ userId: alice.id, sessionId: sid, exceptSessionId: null });
      await database.query('rollback');
      expect(await client.acknowledged(1)).to.have.nested.property('error.status', 401);
      // It still has the session that it had.
      expect(client.closed).to.be.false;
      expect(connections.countOf(alice.id)).to.equal(before);
    } finally {
      await database.end();
    }
  });

  describe('ends within a second', () => {
    let carol: TestUser;
    let other: TestUser;
    beforeEach(async () => {
      carol = await world.user();
      other = await logIn(world.url, carol);
    });

    /** The sockets of two sessions of one user, and who of them is ended by something; nothing reaches those again. */
    const endedBy = async (act: () => Promise<unknown>): Promise<string[]> => {
      const clients = {
        carol: await RawClient.join(world.url, { token: carol.token }),
        other: await RawClient.join(world.url, { token: other.token }),
        bystander: await RawClient.join(world.url, { token: bob.token }),
      };
      // What the database alone tells waits for it, where that is on this machine.
      const backends = await rows<{ pid: number }>(world, 'select pid from pg_stat_activity');
      await act();
      const acted = new Stopwatch(backends.map(({ pid }) => pid));
      const ended = () =>
        Object.entries(clients)
          .filter(([, client]) => client.heard('session:closed').length > 0)
          .map(([name]) => name);
      await until('somebody to be ended', () => ended().length > 0);
      expect(acted.ran).to.be.below(1000);
      while (acted.passed < 1000) await write();
      const newest = world.ctx.feed.seq;
      await until('the bystander to have it', () => (clients.bystander.seqs().at(-1) ?? 0) >= newest);
      for (const name of ended() as (keyof typeof clients)[]) {
        const client = clients[name];
        expect(client.heard('session:closed')).to.have.lengthOf(1);
        expect(client.heard('session:closed')[0]?.[0]).to.include({ code: 'revoked' });
        const last = client.events.findIndex((event) => event.name === 'session:closed');
        expect(client.events.slice(last + 1)).to.be.empty;
        await until('its connection to be closed', () => client.closed);
      }
      return ended();
    };

    it('after a logout: those of its session', async () => {
      expect(await endedBy(() => carol.post('/logout'))).to.deep.equal(['carol']);
    });

    it('after a logout everywhere: all of the user', async () => {
      expect(await endedBy(() => carol.post('/logout/all'))).to.have.members(['carol', 'other']);
    });

    it('after a new password: all but those of the session that set it', async () => {
      const change = { password: 'another horse battery', current_password: PASSWORD };
      expect(await endedBy(() => carol.patch('/users/me', change))).to.deep.equal(['other']);
    });

    it('after the deletion of the account: all', async () => {
      expect(await endedBy(() => carol.delete('/users/me', { password: PASSWORD }))).to.have.members([
        'carol',
        'other',
      ]);
    });

    it('after a refresh token was used whose successor has been used: those of its session', async () => {
      expect(
        await endedBy(async () => {
          const refresh = (token: string) =>
            carol.post<{ refresh_token: string }>('/refresh', { refresh_token: token });
          const successor = await refresh(carol.refreshToken);
          expect((await refresh(successor.body.refresh_token)).status).to.equal(200);
          expect((await refresh(carol.refreshToken)).status).to.equal(401);
        }),
      ).to.deep.equal(['carol']);
    });

    it('also when only the database tells, as when another node was asked and its message was lost', async () => {
      const { sid } = jwt.decode(other.token) as { sid: string };
      const elsewhere = new pg.Client({ connectionString: world.databaseUrl });
      await elsewhere.connect();
      try {
        const ended = await endedBy(async () => {
          await elsewhere.query('begin');
          await elsewhere.query('update sessions set revoked_at = now() where id = $1', [sid]);
          await elsewhere.query('insert into revocations (user_id, session_id) values ($1, $2)', [
            carol.id,
            sid,
          ]);
          await elsewhere.query('commit');
        });
        expect(ended).to.deep.equal(['other']);
      } finally {
        await elsewhere.end();
      }
    });

    it('also when it was told late, by a transaction that others have overtaken', async () => {
      const slow = new pg.Client({ connectionString: world.databaseUrl });
      await slow.connect();
      try {
        await slow.query('begin');
        await slow.query('insert into revocations (user_id) values ($1)', [carol.id]);
        const read = world.ctx.feed.readAt;
        for (let at = 0; at < 5; at += 1) await write();
        await until('some looks at the database', () => world.ctx.feed.readAt > read + 600);
        expect(await endedBy(() => slow.query('commit'))).to.have.members(['carol', 'other']);
      } finally {
        await slow.end();
      }
    });
  });
});
