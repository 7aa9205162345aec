import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { createClient } from '../client/src/index.ts';
import { examine } from '../server/doctor/examine.ts';
import { repair } from '../server/doctor/repair.ts';
import { SessionRecheck } from '../server/auth/session-recheck.ts';
import { Connections } from '../server/delivery/connections.ts';
import { Seal } from '../server/mail/seal.ts';
import { nextEvents } from '../server/transports/long-poll/long-poll.ts';
import { MAX_WEBHOOKS } from '../server/webhooks/commands.ts';
import type { FailureView, WebhookView } from '../server/webhooks/present.ts';
import { logLines } from './support/log-lines.ts';
import { TestMailServer } from './support/mail-server.ts';
import { expectProblem } from './support/problems.ts';
import { inThisOrder } from './support/request-order.ts';
import { caughtUp, execute, numberOf, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { WebhookReceiver } from './support/webhook-receiver.ts';
import {
  type Answer,
  Api,
  createWorld,
  logIn,
  PASSWORD,
  type TestUser,
  type World,
} from './support/world.ts';

const PATH = '/users/me/webhooks';
/** How long a receiver of these tests may take, and the first pause after a failure. Milliseconds. */
const limits = { webhook: 10_000, webhookRetry: 100 };
/** The secret of the service, the one before, and one that it no longer has. */
const [NEWEST, BEFORE, GONE] = ['newest', 'before', 'gone'].map((name) => name.padEnd(40, '-')) as [
  string,
  string,
  string,
];

describe('a webhook', () => {
  const log = logLines();
  const made: string[] = [];
  const mails = new TestMailServer();
  let world: World;
  let receiver: WebhookReceiver;

  before(async () => {
    await mails.start();
    world = await createWorld(
      { ...mails.settings, WEBHOOK_ALLOW_PRIVATE: 'on', JWT_SECRET: `${NEWEST},${BEFORE}` },
      undefined,
      log.read,
      limits,
    );
  });
  beforeEach(async () => {
    receiver = await WebhookReceiver.start();
  });
  afterEach(async () => {
    await execute(world, 'delete from webhooks');
    await receiver.stop();
    expect(receiver.faults).to.deep.equal([]);
  });
  after(async () => {
    await world.close();
    await mails.stop();
  });

  /** What somebody has been sent with this subject. */
  const mailsTo = ({ email }: TestUser, subject: string) =>
    mails.received.filter(({ to, headers }) => to.includes(email) && headers.subject === subject);

  const verify = ({ id }: TestUser) =>
    execute(world, 'update users set email_verified_at = now() where id = $1', [id]);

  async function hook(user: TestUser, more: object = {}) {
    const { status, body, headers } = await user.post<WebhookView & { secret: string }>(PATH, {
      url: `http://127.0.0.1:${receiver.port}/hook`,
      password: PASSWORD,
      ...more,
    });
    expect(status).to.equal(201);
    expect(headers.get('location')).to.equal(`${PATH}/${body.id}`);
    receiver.secret = body.secret;
    made.push(body.secret);
    return body;
  }
  const look = async (user: TestUser, id: string) => (await user.get<WebhookView>(`${PATH}/${id}`)).body;
  const post = async (user: TestUser, title: string) => {
    const answer = await user.post<{ id: number }>('/posts', { title, content: '' });
    expect(answer.status).to.equal(201);
    return answer.body.id;
  };
  const titles = () => receiver.ofType('post:created').map(({ message }) => message.data.title);
  /** Each once, as a receiver takes them: this machine may have been too busy to answer in time. */
  const heard = () => [...new Set(titles())];

  it('is posted each event in order, one at a time, signed, with its position as id', async () => {
    const [ada, bob] = [await world.user(), await world.user()];
    await caughtUp(world);
    const { id, epoch } = await hook(ada);
    receiver.answer = (res) => setTimeout(() => res.writeHead(200).end('taken'), 20);
    const wanted = Array.from({ length: 12 }, (_, at) => `Number ${at}`);
    for (const title of wanted) await post(bob, title);
    await until('all to have come', () => titles().length >= wanted.length);
    expect(heard()).to.deep.equal(wanted);
    expect(receiver.mostOpen).to.equal(1);
    for (const { id: messageId, message } of receiver.received) {
      expect(messageId).to.equal(`${epoch}:${message.seq}`);
      expect(message).to.have.keys('type', 'timestamp', 'data', 'epoch', 'seq', 'prev');
    }
    const last = receiver.seqs.at(-1);
    await until('the position to be written', async () => (await look(ada, id)).seq >= last!);
    expect(await look(ada, id)).to.include({ paused: null, failing_since: null });
  });

  it('hears what a socket of its user would hear with the same topics, and no more', async () => {
    const [ada, bob, eve] = [await world.user(), await world.user(), await world.user()];
    await ada.put(`/users/${bob.id}/follow`);
    await caughtUp(world);
    await hook(ada, { topics: ['home'] });
    await post(eve, 'of a stranger');
    const mine = await post(ada, 'mine');
    await post(bob, 'of one whom I follow');
    await bob.put(`/posts/${mine}/vote`);
    await ada.put(`/users/${eve.id}/mute`);
    await until('my own affairs to have come', () => receiver.ofType('mute:added').length > 0);
    expect(heard()).to.deep.equal(['mine', 'of one whom I follow']);
    const position = await caughtUp(world);
    await ada.put(`/users/${bob.id}/block`);
    await post(bob, 'of one who is blocked');
    await post(ada, 'the last');
    await until('the last to have come', () => titles().includes('the last'));
    expect(heard()).to.deep.equal(['mine', 'of one whom I follow', 'the last']);
    expect(receiver.ofType('block:added')[0]?.message.seq).to.be.above(position);
  });

  it('is posted an event again until it takes it, with the same id, and what follows only then', async () => {
    const ada = await world.user();
    await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    const answers: ((typeof receiver)['answer'] | undefined)[] = [
      (res) => res.writeHead(500).end('an error'),
      (res) => res.writeHead(302, { location: `http://127.0.0.1:${receiver.port}/elsewhere` }).end(),
      (res) => res.destroy(),
      (res) => {
        res.writeHead(503);
        const more = () => res.write('x'.repeat(64 * 1024)) && !res.destroyed && setImmediate(more);
        res.on('drain', more);
        more();
      },
    ];
    receiver.answer = (res, received, req) => {
      const answer = answers.shift();
      if (answer) answer(res, received, req);
      else res.writeHead(201).end();
    };
    await post(ada, 'first');
    await post(ada, 'second');
    await until('both to have come', () => titles().includes('second'), 60_000);
    expect(heard()).to.deep.equal(['first', 'second']);
    expect(titles().indexOf('second')).to.be.at.least(5);
    expect(titles().lastIndexOf('first')).to.be.below(titles().indexOf('second'));
    expect(new Set(receiver.received.map((each) => each.id)).size).to.equal(2);
    expect(receiver.faults).to.deep.equal([]);
    const { body } = await ada.get<FailureView[]>(`${PATH}/${id}/failures`);
    const reasons = body.map(({ reason }) => reason).filter((reason) => reason !== 'timeout');
    expect(reasons.reverse()).to.deep.equal(['status', 'redirect', 'connection', 'status']);
    await until('it to be well', async () => (await look(ada, id)).failing_since === null);
  });

  it('leaves a receiver alone for as long as it asks, up to an hour, or until its user wants it tried', async () => {
    const ada = await world.user();
    await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    receiver.answer = (res) => res.writeHead(429, { 'retry-after': '86400' }).end();
    await post(ada, 'too much');
    await until('the refusal', async () => (await look(ada, id)).failing_since !== null);
    const { failing_since, next_attempt_at } = await look(ada, id);
    const pause = Date.parse(next_attempt_at!) - Date.parse(failing_since!);
    expect(Math.round(pause / 1000)).to.equal(3600);
    receiver.answer = (res) => res.writeHead(204).end();
    await ada.patch(`${PATH}/${id}`, { paused: false });
    await until('it to be well', async () => (await look(ada, id)).failing_since === null);
    expect(heard()).to.deep.equal(['too much']);
  });

  it('is sent no text that was deleted while it failed', async () => {
    const ada = await world.user();
    await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    receiver.answer = (res) => res.writeHead(500).end();
    const gone = await post(ada, 'a secret that slipped out');
    await until('the first attempt', async () => (await look(ada, id)).failing_since !== null);
    expect((await ada.delete(`/posts/${gone}`)).status).to.equal(204);
    await caughtUp(world);
    const before = receiver.received.length;
    receiver.answer = (res) => res.writeHead(200).end();
    await ada.patch(`${PATH}/${id}`, { paused: false });
    await until('the deletion to have come', () => receiver.ofType('post:deleted').length > 0);
    // What is on its way when the deletion is written is no later message.
    for (const { text } of receiver.received.slice(before + 1)) expect(text).to.not.contain('slipped');
  });

  it('is paused when the receiver says that it is gone, and goes on where it was', async () => {
    const ada = await world.user();
    await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    receiver.answer = (res) => res.writeHead(410).end();
    await post(ada, 'first');
    await until('the pause', async () => (await look(ada, id)).paused === 'gone');
    await post(ada, 'second');
    receiver.answer = (res) => res.writeHead(204).end();
    await ada.patch(`${PATH}/${id}`, { paused: false });
    await until('both to have come', () => titles().includes('second'));
    expect(heard()).to.deep.equal(['first', 'second']);
    expect(titles()[1]).to.equal('first');
  });

  it('is paused after a day of failures, and says so', async () => {
    const ada = await world.user();
    await verify(ada);
    await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    receiver.answer = (res) => res.writeHead(500).end();
    await post(ada, 'never taken');
    await until('the first failure', async () => (await look(ada, id)).failing_since !== null);
    const aDayLater = () =>
      execute(
        world,
        `update webhooks set failing_since = now() - interval '25 h', next_attempt_at = now() where id = $1`,
        [id],
      );
    // Its owner was suspended, or no node was there.
    const failures = 'select count(*) from webhook_failures where webhook_id = $1';
    await until('no attempt to be under way', async () => {
      await execute(world, `update webhooks set next_attempt_at = now() + interval '1 h' where id = $1`, [
        id,
      ]);
      const rest = `select count(*) from webhooks
                    where id = $1 and lease_holder is null and next_attempt_at > now() + interval '30 min'`;
      return (await numberOf(world, rest, [id])) === 1;
    });
    await execute(world, `update webhook_failures set happened_at = now() - interval '25 h'`);
    const before = await numberOf(world, failures, [id]);
    await aDayLater();
    await until('a failure after a day without attempts', async () => {
      return (await numberOf(world, failures, [id])) > before;
    });
    const { paused, failing_since } = await look(ada, id);
    expect(paused).to.equal(null);
    expect(Date.parse(failing_since ?? '')).to.be.above(Date.now() - 3_600_000);

    await aDayLater();
    await until('the pause', async () => (await look(ada, id)).paused === 'failing');
    expect(log.all().some(({ msg }) => msg === 'a webhook is paused')).to.equal(true);
    await until('the mail', () => mailsTo(ada, 'A webhook was paused').length === 1);
    await until('its lease to be given up', async () => {
      const held = 'select count(*) from webhooks where lease_holder is not null and paused is not null';
      return (await numberOf(world, held)) === 0;
    });
  });

  it('is told with a reset what the log no longer has, and goes on from there', async () => {
    const ada = await world.user();
    const head = await caughtUp(world);
    receiver.answer = (res) => res.writeHead(500).end();
    await hook(ada, { topics: ['feed'], after: head, epoch: '00000000-0000-4000-8000-000000000000' });
    await until('the reset', () => receiver.ofType('reset').length > 0);
    const [reset] = receiver.ofType('reset');
    expect(reset!.message.data).to.deep.equal({ reason: 'epoch_changed' });
    expect(reset!.id).to.equal(`${reset!.message.epoch}:${reset!.message.seq}:reset`);
    // It says the same until it is taken, so that nothing lies between it and what follows.
    await post(ada, 'while it fails');
    receiver.answer = (res) => res.writeHead(204).end();
    await until('what follows', () => titles().includes('while it fails'));
    const resets = receiver.ofType('reset');
    expect(resets.length).to.be.above(1);
    expect(new Set(resets.map(({ id }) => id)).size).to.equal(1);
    expect(new Set(resets.map(({ message }) => message.seq)).size).to.equal(1);
    expect(receiver.received.at(-1)!.message.epoch).to.equal(world.ctx.feed.epoch);
  });

  it('replays from a position, without what was deleted', async () => {
    const ada = await world.user();
    const start = await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    const gone = await post(ada, 'deleted later');
    await post(ada, 'kept');
    await until('both to have come', () => titles().length >= 2);
    await ada.delete(`/posts/${gone}`);
    await until('the deletion', () => receiver.ofType('post:deleted').length > 0);
    receiver.received.splice(0);
    const answer = await ada.post<WebhookView>(`${PATH}/${id}/replay`, { after: start });
    expect(answer.status).to.equal(200);
    await until('the replay', () => receiver.ofType('post:deleted').length > 0);
    expect(receiver.received.map(({ text }) => text).join()).to.not.contain('deleted later');
    expect(titles()).to.include('kept');
  });

  it('signs with both secrets while they rotate', async () => {
    const ada = await world.user();
    const { id, secret } = await hook(ada);
    expectProblem(await ada.post<object>(`${PATH}/${id}/secret`, { password: 'wrong' }), 403);
    expectProblem(await ada.post<object>(`${PATH}/${id}/secret`, {}), 422);
    const rotated = await ada.post<{ secret: string }>(`${PATH}/${id}/secret`, { password: PASSWORD });
    expect(rotated.status).to.equal(200);
    made.push(rotated.body.secret);
    for (const either of [secret, rotated.body.secret]) {
      receiver.secret = either;
      const { body } = await ada.post<object>(`${PATH}/${id}/ping`);
      expect(body).to.deep.equal({ delivered: true, status: 204 });
      expect(receiver.received.at(-1)?.headers['webhook-signature']?.split(' ')).to.have.length(2);
    }
    await execute(world, `update webhooks set previous_until = now() where id = $1`, [id]);
    await ada.post(`${PATH}/${id}/ping`);
    expect(receiver.received.at(-1)?.headers['webhook-signature']?.split(' ')).to.have.length(1);
    expect(
      await numberOf(world, `select count(*) from webhooks where secret = $1`, [Buffer.from(secret)]),
    ).to.equal(0);
  });

  it('says of a ping what came of it', async () => {
    const ada = await world.user();
    const { id } = await hook(ada);
    receiver.answer = (res) => res.writeHead(500).end();
    expect((await ada.post<object>(`${PATH}/${id}/ping`)).body).to.deep.equal({
      delivered: false,
      status: 500,
      reason: 'status',
    });
    expect(receiver.ofType('ping')[0]?.message.data).to.deep.equal({ webhook_id: id });
  });

  it('is managed with the client package', async () => {
    const ada = await world.user();
    const client = createClient({ url: world.url });
    await client.logIn({ email: ada.email, password: PASSWORD });
    const { webhooks } = client;
    const url = `http://127.0.0.1:${receiver.port}/hook`;
    const seq = await caughtUp(world);
    const { id, secret } = await webhooks.create({
      url,
      topics: ['feed'],
      from: { seq, epoch: world.ctx.feed.epoch },
      password: PASSWORD,
    });
    made.push(secret);
    receiver.secret = secret;
    expect(await webhooks.ping(id)).to.deep.equal({ delivered: true, status: 204 });
    expect((await webhooks.list()).map((each) => each.id)).to.deep.equal([id]);
    expect((await webhooks.change(id, { topics: ['home'], paused: true })).paused).to.equal('owner');
    expect((await webhooks.get(id)).topics).to.deep.equal(['home']);
    expect((await webhooks.replay(id, { seq: 0 })).seq).to.equal(0);
    made.push(await webhooks.rotateSecret(id, PASSWORD));
    expect(await webhooks.failures(id)).to.deep.equal([]);
    await webhooks.delete(id);
    expect(await webhooks.list()).to.deep.equal([]);
  });

  it('belongs to its user alone, who has a few', async () => {
    const [ada, eve] = [await world.user(), await world.user()];
    await caughtUp(world);
    const { id, secret: _secret, ...shown } = await hook(ada, { topics: ['thread:1'] });
    expect((await ada.get<WebhookView[]>(PATH)).body).to.deep.equal([{ id, ...shown }]);
    expect((await eve.get<WebhookView[]>(PATH)).body).to.deep.equal([]);
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PATCH', '', { paused: true }],
      ['DELETE', '', undefined],
      ['POST', '/secret', { password: PASSWORD }],
      ['POST', '/ping', undefined],
      ['POST', '/replay', { after: 0 }],
      ['GET', '/failures', undefined],
    ] as const)
      expectProblem(await eve.request<object>(method, `${PATH}/${id}${path}`, body), 404);
    const tries = await Promise.all(
      Array.from({ length: MAX_WEBHOOKS }, () =>
        eve.post(PATH, { url: 'https://localhost:1/', password: PASSWORD }),
      ),
    );
    expect(tries.every(({ status }) => status === 201)).to.equal(true);
    expectProblem(await eve.post<object>(PATH, { url: 'https://localhost:1/', password: PASSWORD }), 409);
    for (const url of [
      'ftp://hooks.invalid/',
      'https://user:word@hooks.invalid/',
      'https://hooks.invalid/#x',
      'x',
      '',
    ])
      expectProblem(await ada.post<object>(PATH, { url, password: PASSWORD }), 422);
  });

  it('is sent nothing once it is paused or deleted, its user suspended or gone', async () => {
    const moderator = await world.user();
    await execute(world, `update users set role = 'moderator' where id = $1`, [moderator.id]);
    const bob = await world.user();
    const endings: Record<string, (user: TestUser, id: string) => Promise<unknown>> = {
      pause: (user, id) => user.patch(`${PATH}/${id}`, { paused: true }),
      deletion: (user, id) => user.delete(`${PATH}/${id}`),
      suspension: (user) =>
        moderator.post('/moderation/actions', { action: 'suspend', user_id: user.id, reason: 'a test' }),
      'deletion of the account': (user) => user.delete('/users/me', { password: PASSWORD }),
    };
    for (const [what, end] of Object.entries(endings)) {
      const ada = await world.user();
      await caughtUp(world);
      const { id } = await hook(ada, { topics: [`author:${bob.id}`] });
      await post(bob, `before the ${what}`);
      await until('it to work', () => titles().includes(`before the ${what}`));
      await end(ada, id);
      await post(bob, `after the ${what}`);
      // Another one hears it, so it is through.
      const other = await world.user();
      await hook(other, { topics: [`author:${bob.id}`], after: await caughtUp(world) });
      await post(bob, `the end of the ${what}`);
      await until('the end', () => titles().includes(`the end of the ${what}`));
      expect(titles()).to.not.include(`after the ${what}`);
      if (what.startsWith('deletion'))
        expect(await numberOf(world, 'select count(*) from webhooks where id = $1', [id])).to.equal(0);
      await execute(world, 'delete from webhooks');
    }
  });

  it('is made, led elsewhere and given another secret only with the password, and its owner is told', async () => {
    const ada = await world.user();
    await verify(ada);
    const url = `http://127.0.0.1:${receiver.port}/hook`;
    expectProblem(await ada.post<object>(PATH, { url }), 422);
    expectProblem(await ada.post<object>(PATH, { url, password: 'a guess' }), 403, 'invalid_credentials');
    const { id } = await hook(ada);
    const subject = 'A webhook posts what you hear to a server';
    await until('the mail', () => mailsTo(ada, subject).length === 1);
    const elsewhere = `${url}/elsewhere`;
    expectProblem(await ada.patch<object>(`${PATH}/${id}`, { url: elsewhere }), 422);
    expectProblem(await ada.patch<object>(`${PATH}/${id}`, { url: elsewhere, password: 'a guess' }), 403);
    expect((await look(ada, id)).url).to.equal(url);
    const moved = await ada.patch<WebhookView>(`${PATH}/${id}`, { url: elsewhere, password: PASSWORD });
    expect(moved.body.url).to.equal(elsewhere);
    await until('another mail', () => mailsTo(ada, subject).length === 2);
    // The rest of the address could be a message to somebody else.
    for (const { text } of mailsTo(ada, subject))
      expect(text).to.contain(`127.0.0.1:${receiver.port}`).and.not.contain('/hook');
    await ada.post(`${PATH}/${id}/secret`, { password: PASSWORD });
    const noted = await rows<{ action: string }>(
      world,
      'select action from audit_log where user_id = $1 order by id',
      [ada.id],
    );
    expect(noted.map(({ action }) => action)).to.deep.equal([
      'create_webhook',
      'change_webhook',
      'change_webhook',
    ]);
    const { body: key } = await ada.post<{ key: string }>('/users/me/keys', {
      name: 'a key',
      scopes: ['read', 'write'],
      password: PASSWORD,
    });
    expectProblem(await new Api(world.url, key.key).get<object>(PATH), 403, 'insufficient_scope');
  });

  it('has no mail sent to an address that was not proved, and not more than three an hour', async () => {
    const ada = await world.user();
    const { id } = await hook(ada);
    const mailed = () =>
      numberOf(world, `select count(*) from mails where user_id = $1 and kind = 'webhook_added'`, [ada.id]);
    expect(await mailed()).to.equal(0);
    await verify(ada);
    for (const times of [1, 2, 3, 3]) {
      const url = `http://127.0.0.1:${receiver.port}/hook/${times}`;
      expect((await ada.patch(`${PATH}/${id}`, { url, password: PASSWORD })).status).to.equal(200);
      expect(await mailed()).to.equal(times);
    }
  });

  for (const [what, code] of [
    ['a suspension', 'unauthorized'],
    ['a logout everywhere', 'unauthorized'],
    ['a new password', 'invalid_credentials'],
  ] as const) {
    const ending = async (user: TestUser) => {
      const moderator = await world.user();
      await execute(world, `update users set role = 'moderator' where id = $1`, [moderator.id]);
      const change = { password: 'another battery staple', current_password: PASSWORD };
      const ends: Record<typeof what, () => Promise<Answer<object>>> = {
        'a suspension': () =>
          moderator.post('/moderation/actions', { action: 'suspend', user_id: user.id, reason: 'a test' }),
        'a logout everywhere': () => user.post('/logout/all'),
        'a new password': () => user.patch('/users/me', change),
      };
      return ends[what];
    };
    const make = (user: TestUser) => () =>
      user.post<WebhookView>(PATH, { url: `http://127.0.0.1:${receiver.port}/`, password: PASSWORD });

    it(`is not made after ${what} that came while the password was looked at`, async () => {
      const ada = await world.user();
      const [ended, refused] = await inThisOrder(world, ada, [await ending(ada), make(ada)]);
      expect(ended?.status).to.be.within(200, 204);
      expectProblem(refused!, code === 'unauthorized' ? 401 : 403, code);
      expect(await numberOf(world, 'select count(*) from webhooks where user_id = $1', [ada.id])).to.equal(0);
    });
  }

  const newPasswords: Record<string, (user: TestUser) => Promise<string>> = {
    'a new password': async (user) => {
      const other = 'another battery staple';
      const change = { password: other, current_password: PASSWORD };
      expect((await user.patch('/users/me', change)).status).to.equal(200);
      return other;
    },
    'the link of a mail to a new one': async (user) => {
      await world.anonymous.post('/password/forgot', { email: user.email });
      await execute(world, 'update users set email_verified_at = now() where id = $1', [user.id]);
      await until('the mail', () => mailsTo(user, 'Choose a new password').length > 0);
      const { text } = mailsTo(user, 'Choose a new password')[0]!;
      const token = /#reset=([\w-]{43})/.exec(text)![1]!;
      const other = 'another battery staple';
      expect((await world.anonymous.post('/password/reset', { token, password: other })).status).to.equal(
        204,
      );
      return other;
    },
  };
  for (const [what, change] of Object.entries(newPasswords))
    it(`is paused by ${what}, until its user resumes it`, async () => {
      const [ada, bob] = [await world.user(), await world.user()];
      await caughtUp(world);
      const { id } = await hook(ada, { topics: [`author:${bob.id}`] });
      await post(bob, 'before');
      await until('it to work', () => titles().includes('before'));
      const password = await change(ada);
      const again = await logIn(world.url, ada, password);
      expect((await look(again, id)).paused).to.equal('password');
      await post(bob, 'meanwhile');
      expect(titles()).to.not.include('meanwhile');
      await again.patch(`${PATH}/${id}`, { paused: false });
      await until('what came meanwhile', () => titles().includes('meanwhile'));
      const noted = `select count(*) from audit_log where user_id = $1 and action = 'change_webhook'`;
      expect(await numberOf(world, noted, [ada.id])).to.equal(1);
    });

  it('is resumed by its user alone after a new password, also if it was paused already', async () => {
    const ada = await world.user();
    const { id } = await hook(ada);
    const pause = async (user: TestUser, paused: boolean) =>
      (await user.patch<WebhookView>(`${PATH}/${id}`, { paused })).body.paused;
    expect(await pause(ada, true)).to.equal('owner');
    const password = 'another battery staple';
    await ada.patch('/users/me', { password, current_password: PASSWORD });
    const again = await logIn(world.url, ada, password);
    expect((await look(again, id)).paused).to.equal('password');
    expect(await pause(again, true)).to.equal('password');
    expect(await pause(again, false)).to.equal(null);
    const noted = `select count(*) from audit_log where user_id = $1 and action = 'change_webhook'`;
    expect(await numberOf(world, noted, [ada.id])).to.equal(1);
  });

  it('is paused when a change of the address is undone: somebody else knew the password', async () => {
    const ada = await world.user();
    await execute(world, 'update users set email_verified_at = now() where id = $1', [ada.id]);
    const thief = `thief-${ada.email}`;
    await ada.patch('/users/me', { email: thief, current_password: PASSWORD });
    const tokenTo = async (email: string, name: string) => {
      const pattern = new RegExp(`#${name}=([\\w-]{43})`);
      const find = () => mails.received.flatMap(({ to, text }) => (to.includes(email) ? [text] : []));
      await until('the mail', () => find().some((text) => pattern.test(text)));
      return pattern.exec(find().find((text) => pattern.test(text))!)![1]!;
    };
    const verified = await world.anonymous.post('/email/verify', { token: await tokenTo(thief, 'verify') });
    expect(verified.status).to.equal(204);
    const { id } = await hook(ada);
    const undone = await world.anonymous.post('/email/undo', { token: await tokenTo(ada.email, 'undo') });
    expect(undone.status).to.equal(204);
    const paused = `select count(*) from webhooks where id = $1 and paused = 'password'`;
    expect(await numberOf(world, paused, [id])).to.equal(1);
  });

  it('goes with an account whose address turns out to be another person’s', async () => {
    const squatter = await world.user();
    const { id } = await hook(squatter);
    await world.anonymous.post('/password/forgot', { email: squatter.email });
    await until('the mail', () => mailsTo(squatter, 'Choose a new password').length > 0);
    const token = /#reset=([\w-]{43})/.exec(mailsTo(squatter, 'Choose a new password')[0]!.text)![1]!;
    await world.anonymous.post('/password/reset', { token, password: 'another battery staple' });
    expect(await numberOf(world, 'select count(*) from webhooks where id = $1', [id])).to.equal(0);
  });

  it('is paused when no node can read its secret for a day, until its user gives it another', async () => {
    const ada = await world.user();
    const sealOf = (secret: string) => new Seal([secret], 'webhooks');
    const write = (id: string, secret: Buffer) =>
      execute(world, 'update webhooks set secret = $2 where id = $1', [id, secret]);
    const { id, secret } = await hook(ada, { topics: ['thread:1'] });
    await write(id, sealOf(GONE).close(secret));
    await ada.patch(`${PATH}/${id}`, { topics: ['thread:3'] });
    await until('it to be found unreadable', async () => (await look(ada, id)).failing_since !== null);
    expectProblem(await ada.post<object>(`${PATH}/${id}/ping`), 409);
    const lookAgain = `update webhooks set failing_since = now() - $2 * interval '1 h', next_attempt_at = now() where id = $1`;
    // Another node may be able to read it.
    await write(id, sealOf(BEFORE).close(secret));
    await execute(world, lookAgain, [id, 25]);
    await until('it to be well', async () => (await look(ada, id)).failing_since === null);
    await write(id, sealOf(GONE).close(secret));
    await ada.patch(`${PATH}/${id}`, { topics: ['thread:4'] });
    await until('it to be found unreadable again', async () => (await look(ada, id)).failing_since !== null);
    expect((await look(ada, id)).paused).to.equal(null);
    // A node could read it an hour ago, when the receiver had been failing for a day.
    await execute(
      world,
      `insert into webhook_failures (webhook_id, happened_at, message_id, reason)
       values ($1, now() - interval '1 h', 'x', 'timeout')`,
      [id],
    );
    await execute(world, lookAgain, [id, 25]);
    const put =
      'select count(*) from webhooks where id = $1 and next_attempt_at > now() and lease_holder is null';
    await until('it to be put off', async () => (await numberOf(world, put, [id])) === 1);
    expect((await look(ada, id)).paused).to.equal(null);
    await execute(world, 'delete from webhook_failures where webhook_id = $1', [id]);
    await execute(world, lookAgain, [id, 25]);
    await until('the pause', async () => (await look(ada, id)).paused === 'secret');
    const { body } = await ada.post<{ secret: string }>(`${PATH}/${id}/secret`, { password: PASSWORD });
    made.push(body.secret);
    receiver.secret = body.secret;
    expect((await look(ada, id)).paused).to.equal(null);
    expect((await ada.post<object>(`${PATH}/${id}/ping`)).body).to.deep.equal({
      delivered: true,
      status: 204,
    });
  });

  it('has one message on its way although its lease has lapsed, and goes on with the new one', async () => {
    const ada = await world.user();
    await caughtUp(world);
    const { id } = await hook(ada, { topics: ['feed'] });
    let closed = 0;
    receiver.answer = (res) => {
      res.on('close', () => (closed += 1));
      if (titles().length > 1) res.writeHead(204).end();
    };
    await post(ada, 'first');
    await until('the first attempt', () => titles().length === 1);
    // As after a pause of the database: this process takes the webhook once more.
    await until('another attempt', async () => {
      if (titles().length === 1)
        await execute(world, `update webhooks set lease_until = now() - interval '1 s' where id = $1`, [id]);
      return titles().length > 1;
    });
    await until('the first one to have been given up', () => closed > 0);
    await post(ada, 'second');
    await until('the second', () => titles().includes('second'));
    expect(titles().slice(0, 2)).to.deep.equal(['first', 'first']);
    expect(receiver.mostOpen).to.equal(1);
  });

  it('is no client of the node, and none whose session is looked up', async () => {
    const ada = await world.user();
    const { delivery, feed, liveSessions } = world.ctx;
    const identity = { id: ada.id, sessionId: randomUUID(), expiresAt: Infinity };
    const [before, stop] = [delivery.size, new AbortController()];
    await post(ada, 'an event');
    await caughtUp(world);
    const counted = async () =>
      (await world.anonymous.get<string>('/metrics')).body.match(
        /^tidings_(?:resumes|events_delivered)_total.*$/gm,
      );
    const counts = await counted();
    const past = { after: feed.seq - 1, limit: 1, wait: 0 };
    const page = await nextEvents({ delivery, feed }, identity, past, stop.signal);
    expect(page?.events).to.have.length(1);
    expect(counts).to.have.length.above(0);
    expect(await counted()).to.deep.equal(counts);
    const query = { after: feed.seq, limit: 1, wait: 20, topics: ['thread:1'] };
    const waiting = nextEvents({ delivery, feed }, identity, query, stop.signal);
    expect(delivery.size).to.equal(before);
    stop.abort();
    expect(await waiting).to.equal(undefined);
    expect(delivery.size).to.equal(before);

    const connections = new Connections();
    const ended: string[] = [];
    for (const [name, withoutSession] of [
      ['a webhook', true],
      ['a client', false],
    ] as const) {
      const own = { ...identity, sessionId: randomUUID() };
      connections.add({ identity: own, withoutSession, end: () => ended.push(name) });
    }
    const recheck = new SessionRecheck({ connections, liveSessions, log: world.ctx.log });
    recheck.request();
    await until('the look-up', () => ended.includes('a client'));
    recheck.stop();
    expect(ended).to.deep.equal(['a client']);
  });

  it('is found by the doctor ahead of the log or left of an account, and told where it goes on', async () => {
    const ada = await world.user();
    const { id } = await hook(ada, { topics: ['feed'] });
    await ada.patch(`${PATH}/${id}`, { paused: true });
    const examined = async () => {
      const checks = await examine(world.ctx.config, world.databaseUrl, { schema: false });
      return checks.find(({ what }) => what === 'webhooks')?.findings ?? [];
    };
    await execute(world, 'update webhooks set position = position + 1000000 where id = $1', [id]);
    const [ahead, ...others] = await examined();
    expect(others).to.be.empty;
    expect(ahead?.what).to.contain(id).and.contain('the log ends at');
    await repair(world.ctx.db, ahead!);
    expect(await examined()).to.be.empty;
    await ada.patch(`${PATH}/${id}`, { paused: false });
    await until('the reset', () => receiver.ofType('reset').length > 0);
    expect(receiver.ofType('reset')[0]?.message.data).to.deep.equal({ reason: 'future' });

    // As a node of a version before deletes an account.
    await execute(world, 'update users set deleted_at = now() where id = $1', [ada.id]);
    const [left] = await examined();
    expect(left?.what).to.contain(id).and.contain('deleted');
    await repair(world.ctx.db, left!);
    expect(await numberOf(world, 'select count(*) from webhooks where id = $1', [id])).to.equal(0);
  });

  it('does not keep others waiting with a receiver that is slow', async () => {
    const [ada, bob] = [await world.user(), await world.user()];
    await caughtUp(world);
    const slow = await WebhookReceiver.start();
    const url = `http://127.0.0.1:${slow.port}/`;
    const { body } = await ada.post<{ secret: string }>(PATH, { url, password: PASSWORD });
    slow.secret = body.secret;
    slow.answer = () => undefined;
    await hook(bob);
    await post(ada, 'soon');
    await until('the other one to have it', () => titles().includes('soon'));
    await slow.stop();
  });

  it('is exported without its secret, of which no log tells', async () => {
    const ada = await world.user();
    const { id, secret } = await hook(ada);
    const { body } = await ada.get<string>('/users/me/export');
    expect(body).to.contain(`"kind":"webhook"`).and.contain(id).and.not.contain(secret);
    const text = JSON.stringify(log.all());
    for (const each of made) expect(text).to.not.contain(each);
  });
});

describe('a webhook where private addresses are not allowed', () => {
  let world: World;
  before(async () => {
    world = await createWorld({}, undefined, undefined, limits);
  });
  after(() => world.close());

  it('needs https, and reaches no private address by any name, although it once was allowed to', async () => {
    const ada = await world.user();
    const make = (url: string) => ada.post<WebhookView>(PATH, { url, password: PASSWORD });
    for (const url of [
      'http://hooks.invalid/',
      'https://127.0.0.1/',
      'https://[::1]/',
      'https://[::ffff:10.0.0.1]/',
      'https://169.254.169.254/',
      'https://localhost/',
    ])
      expectProblem(await ada.post<object>(PATH, { url, password: PASSWORD }), 422);
    const { body } = await make('https://hooks.invalid/');
    await ada.patch(`${PATH}/${body.id}`, { paused: true });
    const receiver = await WebhookReceiver.start();
    for (const [url, reason] of [
      [`http://127.0.0.1:${receiver.port}/`, 'not_https'],
      [`https://127.0.0.1:${receiver.port}/`, 'private_address'],
      [`https://localhost:${receiver.port}/`, 'private_address'],
    ]) {
      await execute(world, 'update webhooks set url = $2 where id = $1', [body.id, url]);
      expect((await ada.post<object>(`${PATH}/${body.id}/ping`)).body).to.deep.equal({
        delivered: false,
        status: null,
        reason,
      });
    }
    await ada.patch(`${PATH}/${body.id}`, { paused: false });
    await ada.post('/posts', { title: 'for nobody', content: '' });
    await until('an attempt', async () => {
      const { body: failed } = await ada.get<FailureView[]>(`${PATH}/${body.id}/failures`);
      return failed[0]?.reason === 'private_address';
    });
    expect([...receiver.received, ...receiver.faults]).to.be.empty;
    await receiver.stop();
  });
});
