import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import pg from 'pg';
import { io, type Socket } from 'socket.io-client';
import type { TotpSetup } from '../server/auth/totp.ts';
import type { NotificationState, NotificationView, Position } from '../server/contract.ts';
import { withModels } from '../server/database/target.ts';
import { grantRole } from '../server/moderation/roles.ts';
import { TestMailServer } from './support/mail-server.ts';
import type { NodeProcess } from './support/node-process.ts';
import { expectProblem } from './support/problems.ts';
import { type TwoVersions, twoVersions, VERSIONS_BEFORE } from './support/two-versions.ts';
import { until } from './support/waiting.ts';
import { Api, logIn, PASSWORD, signUp, type TestUser } from './support/world.ts';

interface Told {
  name: string;
  seq: number;
  data: Record<string, unknown>;
}

/** A stock client with everything public. */
interface Listener {
  told: Told[];
  /** The codes with which its session was closed. */
  closed: string[];
  socket: Socket;
}

const NEW = 'another battery staple';

describe('notifications, moderation, mails and second factors beside a node that knew none of them', () => {
  const mails = new TestMailServer();
  let versions: TwoVersions;
  let old: NodeProcess;
  let fresh: NodeProcess;
  let pool: pg.Pool;
  let moderator: TestUser;
  let ada: TestUser;
  let bob: TestUser;
  const listeners: Listener[] = [];

  before(async function () {
    await mails.start();
    const both = await twoVersions(VERSIONS_BEFORE.people, mails.settings);
    if (!both) return this.skip();
    versions = both;
    ({ old, fresh } = versions);
    await fresh.start();
    await old.start();
    pool = new pg.Pool({ connectionString: versions.databaseUrl, max: 2 });
    pool.on('error', () => undefined);
    moderator = await signUp(fresh.url, 'grace');
    ada = await signUp(fresh.url, 'ada');
    bob = await signUp(old.url, 'bob');
    await withModels(versions.databaseUrl, (db) =>
      db.transaction((tx) => grantRole(tx, moderator.username, 'moderator', '')),
    );
  });
  after(async () => {
    for (const { socket } of listeners) socket.disconnect();
    await pool?.end();
    await versions?.close();
    await mails.stop();
  });
  afterEach(async function () {
    if (this.currentTest?.isPassed() !== true) return;
    await allNumbered();
    expect(await versions.findings()).to.deep.equal([]);
    expect([...old.misconduct, ...fresh.misconduct]).to.deep.equal([]);
  });

  const allNumbered = () =>
    until('everything committed to be numbered', async () => {
      return (await pool.query('select from event_outbox')).rowCount === 0;
    });
  const atOld = (user: TestUser) => new Api(old.url, user.token);
  const atNew = (user: TestUser) => new Api(fresh.url, user.token);
  const done = async <T>(answer: Promise<{ status: number; body: T }>): Promise<T> => {
    const { status, body } = await answer;
    expect(status, JSON.stringify(body)).to.be.within(200, 204);
    return body;
  };
  const write = (by: Api, content: string) =>
    done(by.post<{ id: number }>('/posts', { title: 'A post', content }));
  const act = (body: object) => done(atNew(moderator).post<object>('/moderation/actions', body));

  const listen = async (node: NodeProcess, user: TestUser): Promise<Listener> => {
    await allNumbered();
    const [head] = (await pool.query<{ seq: number; epoch: string }>('select seq, epoch from feed_head'))
      .rows;
    const told: Told[] = [];
    const closed: string[] = [];
    const socket = io(node.url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      auth: { token: user.token, after: head?.seq, epoch: head?.epoch },
    });
    const listener = { told, closed, socket };
    listeners.push(listener);
    socket.onAny((name: string, data: Told['data'], at?: Position) => {
      if (name === 'session:closed') closed.push(String(data.code));
      else if (at?.seq !== undefined) told.push({ name, seq: at.seq, data });
    });
    await new Promise((resolve) => socket.once('ready', resolve));
    return listener;
  };
  const said = ({ told }: Listener) => told.map(({ name }) => name);
  const about = (told: readonly Told[], id: number) =>
    told.filter(({ data }) => data.id === id).map(({ name }) => name);

  it('notify of what is done at the old node, which tells nobody what is for others', async () => {
    const [own, other, atOther] = await Promise.all([listen(fresh, ada), listen(old, bob), listen(old, ada)]);
    const post = await write(atNew(ada), 'a post');
    const reply = await done(
      atOld(bob).post<{ id: number }>(`/posts/${post.id}/replies`, { content: 'an answer' }),
    );
    await done(atOld(bob).put(`/users/${ada.id}/follow`));
    const list = () =>
      done(atNew(ada).get<NotificationState & { notifications: NotificationView[] }>('/notifications'));
    const { notifications, unread } = await list();
    expect(unread).to.equal(2);
    expect(notifications.map(({ kind, actor, post_id: id }) => [kind, actor?.id, id])).to.deep.equal([
      ['follow', bob.id, null],
      ['reply', bob.id, reply.id],
    ]);
    await until(
      'ada to be told',
      () => said(own).filter((name) => name === 'notification:added').length === 2,
    );
    await until('the old node to be as far', () => other.told.some(({ name }) => name === 'follow:added'));
    expect(said(other).filter((name) => /^notification|^role|^report/.test(name))).to.deep.equal([]);

    // Read at the new one, and gone with the reply that is deleted at the old one.
    await done(atNew(ada).put('/notifications/read', { up_to: 1_000_000 }));
    await done(atOld(bob).delete(`/posts/${reply.id}`));
    await until('ada to be told', () => said(own).includes('notification:removed'));
    expect(await list()).to.deep.include({ unread: 0 });
    expect((await list()).notifications.map(({ kind }) => kind)).to.deep.equal(['follow']);
    // The old node hands on to ada what the log has for her, and to nobody else.
    await until('the old node to be as far', () => said(atOther).includes('notification:removed'));
    expect(said(atOther).filter((name) => name.startsWith('notification:'))).to.deep.equal(
      said(own).filter((name) => name.startsWith('notification:')),
    );
  });

  it('are told of reports by the new node alone, and the old one keeps them to itself', async () => {
    const post = await write(atOld(bob), 'a post that somebody reports');
    const [hers, theirs] = await Promise.all([listen(fresh, moderator), listen(old, ada)]);
    await done(atNew(ada).put(`/posts/${post.id}/report`, { reason: 'spam' }));
    await until('the moderator to be told', () => said(hers).includes('report:added'));
    await write(atNew(ada), 'behind it');
    await until('the old node to be as far', () => said(theirs).includes('post:created'));
    expect(said(theirs)).not.to.include('report:added');
    await act({ action: 'dismiss', post_id: post.id, reason: 'nothing in it' });
    await until('ada to be told', async () =>
      (
        await done(atNew(ada).get<{ notifications: NotificationView[] }>('/notifications'))
      ).notifications.some(({ act: what }) => what === 'report_dismissed'),
    );
  });

  it('let a post that was removed vanish at the old node, and come back', async () => {
    const post = await write(atOld(bob), 'the words of a removed post');
    await done(atOld(ada).put(`/posts/${post.id}/vote`));
    const [reader, other] = await Promise.all([listen(old, ada), listen(fresh, ada)]);
    const hasText = async ({ url }: NodeProcess) =>
      JSON.stringify(
        await new Api(url, ada.token).get('/events?after=0&limit=500').then(({ body }) => body),
      ).includes('the words of a removed post');
    expect(await hasText(old)).to.equal(true);
    await act({ action: 'remove', post_id: post.id, reason: 'for a test' });
    for (const listener of [reader, other])
      await until('all to be told', () => about(listener.told, post.id).includes('post:deleted'));
    for (const node of [old, fresh]) {
      const api = new Api(node.url, bob.token);
      expect((await api.get(`/posts/${post.id}`)).status).to.equal(404);
      expect((await api.patch(`/posts/${post.id}`, { content: 'another' })).status).to.equal(404);
      expect((await api.delete(`/posts/${post.id}`)).status).to.equal(404);
      expect((await api.put(`/posts/${post.id}/vote`)).status).to.equal(404);
      expect((await api.post(`/posts/${post.id}/replies`, { content: 'late' })).status).to.be.oneOf([
        404, 409,
      ]);
      const listed = await done(api.get<{ id: number }[]>('/posts?limit=100'));
      expect(listed.map(({ id }) => id)).not.to.include(post.id);
      await until('the text to have left the replays', async () => !(await hasText(node)));
    }
    await act({ action: 'restore', post_id: post.id, reason: 'for a test' });
    for (const listener of [reader, other])
      await until('all to be told', () => about(listener.told, post.id).at(-1) === 'post:created');
    const [byOld, byNew] = await Promise.all(
      [old, fresh].map(({ url }) =>
        done(
          new Api(url, ada.token).get<{ content: string; votes: number; version: number }>(
            `/posts/${post.id}`,
          ),
        ),
      ),
    );
    expect(byOld).to.include({ content: 'the words of a removed post', votes: 1, version: byNew?.version });
    // Its owner can edit it at the old node again, and everybody hears it.
    await done(atOld(bob).patch(`/posts/${post.id}`, { content: 'edited' }));
    for (const listener of [reader, other])
      await until('all to be told', () => about(listener.told, post.id).at(-1) === 'post:updated');
  });

  it('keep a suspended user out of the old node as well', async () => {
    const eve = await signUp(old.url, 'eve');
    const sockets = await Promise.all([listen(old, eve), listen(fresh, eve)]);
    const refresh = () => new Api(old.url).post('/refresh', { refresh_token: eve.refreshToken });
    await act({ action: 'suspend', user_id: eve.id, reason: 'for a test' });
    for (const { socket } of sockets) await until('its sockets to be closed', () => !socket.connected);
    const [atOldOne, atNewOne] = sockets;
    expect(atNewOne?.closed).to.deep.equal(['suspended']);
    // The old node has no word for it.
    expect(atOldOne?.closed).to.deep.equal(['revoked']);
    for (const { url } of [old, fresh])
      await until(
        'reads to be refused',
        async () => (await new Api(url, eve.token).get('/posts')).status === 401,
      );
    expect((await refresh()).status).to.equal(401);
    const login = { email: eve.email, password: PASSWORD };
    expectProblem(await new Api(fresh.url).post('/login', login), 403, 'suspended');
    expect((await new Api(old.url).post('/login', login)).status).to.equal(503);
    await act({ action: 'unsuspend', user_id: eve.id, reason: 'for a test' });
    for (const { url } of [old, fresh]) expect((await logIn(url, eve)).id).to.equal(eve.id);
  });

  it('have no link of a mail that outlives a new password at the old node', async () => {
    const carol = await signUp(fresh.url, 'carol');
    expect((await mails.next(carol.email)).headers.subject).to.equal('Verify your e-mail address');
    expect((await new Api(fresh.url).post('/password/forgot', { email: carol.email })).status).to.equal(202);
    const [, token = ''] = /#reset=([\w-]{43})\n/.exec((await mails.next(carol.email)).text) ?? [];
    await done(atOld(carol).patch('/users/me', { password: NEW, current_password: PASSWORD }));
    const reset = (given: string) =>
      new Api(fresh.url).post('/password/reset', { token: given, password: PASSWORD });
    expectProblem(await reset(token), 401, 'unauthorized');
    await new Api(fresh.url).post('/password/forgot', { email: carol.email });
    const [, next = ''] = /#reset=([\w-]{43})\n/.exec((await mails.next(carol.email)).text) ?? [];
    const session = await logIn(old.url, carol, NEW);
    const socket = await listen(old, session);
    expect((await reset(next)).status).to.equal(204);
    await until('the socket at the old node to be closed', () => !socket.socket.connected);
    expect((await logIn(old.url, carol)).id).to.equal(carol.id);
  });

  it('ask for a code at the new node; a password alone does at the old one', async () => {
    const dora = await signUp(fresh.url, 'dora');
    const { secret } = await done(atNew(dora).post<TotpSetup>('/users/me/totp', { password: PASSWORD }));
    const code = () => TOTP.generate({ secret: Secret.fromBase32(secret) });
    await done(atNew(dora).post('/users/me/totp/confirm', { code: code() }));
    const login = { email: dora.email, password: PASSWORD };
    expectProblem(await new Api(fresh.url).post('/login', login), 403, 'otp_required');
    expect((await new Api(old.url).post('/login', login)).status).to.equal(200);
    // What the old node deletes goes with all that it does not know.
    await done(atOld(dora).delete('/users/me', { password: PASSWORD }));
    await until('the account to be gone', async () => {
      const { rows } = await pool.query<{ left: string }>(
        `select (select count(*) from users where id = $1) + (select count(*) from totp_secrets where user_id = $1)
           + (select count(*) from recovery_codes where user_id = $1) + (select count(*) from mails where user_id = $1) as left`,
        [dora.id],
      );
      return Number(rows[0]?.left) === 0;
    });
  });

  it('keep the audit log and the role of a moderator whose account the old node deletes', async () => {
    const second = await signUp(old.url, 'second');
    await withModels(versions.databaseUrl, (db) =>
      db.transaction((tx) => grantRole(tx, second.username, 'moderator', '')),
    );
    await done(
      atNew(second).post('/moderation/actions', { action: 'warn', user_id: bob.id, reason: 'for a test' }),
    );
    await done(atOld(second).delete('/users/me', { password: PASSWORD }));
    await until('the account to be gone', async () => {
      return (await pool.query('select from users where id = $1', [second.id])).rowCount === 0;
    });
    const log = await done(
      atNew(moderator).get<{ action: string; actor: { id: number; username: string } | null }[]>(
        `/moderation/log?user_id=${bob.id}`,
      ),
    );
    expect(log[0]).to.deep.include({ action: 'warn', actor: { id: second.id, username: '' } });
  });
});
