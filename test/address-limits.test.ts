import { expect } from 'chai';
import type { Request, Response } from 'express';
import { AppError } from '../server/errors.ts';
import {
  type RateLimit,
  RateLimits,
  type ReachedLimit,
  type RefreshOf,
} from '../server/limits/rate-limits.ts';
import { SharedCounts } from '../server/limits/shared-counts.ts';
import type { LimitStore } from '../server/limits/store.ts';
import { inWords } from '../server/text/time-span.ts';
import { expectProblem } from './support/problems.ts';
import { execute } from './support/tables.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

const from = (address: string) => ({ ip: address }) as unknown as Request;
const nobodyListens = { set: () => undefined } as unknown as Response;
const somebody = (id: number) => ({ id, sessionId: '', expiresAt: 0 });

/** A store that never answers and remembers what it was asked to count. */
class Recorder implements LimitStore {
  readonly keys: string[] = [];

  take(key: string): Promise<undefined> {
    this.keys.push(key);
    return Promise.resolve(undefined);
  }

  taken = () => Promise.resolve(undefined);
  giveBack = () => Promise.resolve();
  remember = () => Promise.resolve();
  knows = () => Promise.resolve(undefined);
  forget = () => Promise.resolve();
}

/** Why a request is refused that is counted so; undefined if it is not. */
async function refusalOf(counted: Promise<void>): Promise<string | undefined> {
  try {
    await counted;
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(AppError);
    return (error as AppError).message;
  }
}

describe('the limits of one address', () => {
  let limits: RateLimits;
  let counts: SharedCounts;
  let recorder: Recorder;
  let refused: ReachedLimit[];
  beforeEach(() => {
    recorder = new Recorder();
    counts = new SharedCounts([recorder]);
    refused = [];
    limits = new RateLimits(counts, 'a secret', (name) => refused.push(name));
  });

  /** Counts a request, or a refresh. @returns why it is refused */
  const refusal = (name: RateLimit, address: string, user?: number) =>
    refusalOf(
      limits.count(name, from(address), nobodyListens, user === undefined ? undefined : somebody(user)),
    );
  const refreshRefusal = (of: RefreshOf, address = '203.0.113.1') =>
    refusalOf(limits.countRefresh(of, from(address), nobodyListens));

  it('refuse what many accounts do from there, each within its own limit', async () => {
    for (const [name, own] of [
      ['write', 600],
      ['login', 60],
      ['rename', 10],
    ] as const) {
      for (let user = 1; user <= 10; user += 1)
        for (let at = 0; at < own; at += 1)
          expect(await refusal(name, '203.0.113.1', user)).to.equal(undefined);
      expect(await refusal(name, '203.0.113.1', 11)).to.match(/^Too many requests from your address\. Try/);
      expect(refused.at(-1)).to.equal(`${name}-address`);
      expect(await refusal(name, '203.0.113.2', 11)).to.equal(undefined);
    }
    expect(await refusal('read', '203.0.113.1', 11), 'what is counted apart').to.equal(undefined);
  });

  it('leave nine hundred people behind it what they do in a minute', async () => {
    const told = new Set<string | undefined>();
    for (let user = 1; user <= 900; user += 1) {
      for (let write = 0; write < 6; write += 1) told.add(await refusal('write', '203.0.113.1', user));
      for (let read = 0; read < 60; read += 1) told.add(await refusal('read', '203.0.113.1', user));
    }
    // They have all logged in at nine, so they all renew in the same minute.
    for (let user = 1; user <= 900; user += 1) {
      told.add(await refreshRefusal({ session: `session ${user}` }));
      told.add(await refreshRefusal({ user }));
    }
    expect([...told]).to.deep.equal([undefined]);
  });

  it('take nothing from the others there for what one user has too many of', async () => {
    for (let at = 0; at < 7000; at += 1) await refusal('write', '203.0.113.1', 1);
    expect(new Set(refused)).to.deep.equal(new Set(['write']));
    expect(await refusal('write', '203.0.113.1', 2)).to.equal(undefined);
  });

  it('count refreshes of guessed tokens alone, and those of a user’s sessions together', async () => {
    for (let guess = 0; guess < 600; guess += 1) expect(await refreshRefusal(undefined)).to.equal(undefined);
    expect(await refreshRefusal(undefined)).to.include('from your address');
    expect(await refreshRefusal(undefined, '203.0.113.2')).to.equal(undefined);
    for (let at = 0; at < 60; at += 1) expect(await refreshRefusal({ session: 'one' })).to.equal(undefined);
    expect(await refreshRefusal({ session: 'one' }, '203.0.113.2')).to.match(/^Too many requests\. /);
    expect(await refreshRefusal({ session: 'another' })).to.equal(undefined);
    for (let at = 0; at < 600; at += 1) expect(await refreshRefusal({ user: 1 })).to.equal(undefined);
    expect(await refreshRefusal({ user: 1 }, '203.0.113.2')).to.match(/^Too many requests\. /);
    expect(await refreshRefusal({ user: 2 })).to.equal(undefined);
    expect(refused).to.deep.equal(['refresh-address', 'refresh', 'refresh-user']);
  });

  it('count once what nobody sends', async () => {
    await refusal('read', '203.0.113.1');
    expect(recorder.keys).to.deep.equal(['limit:read:a203.0.113.1']);
  });

  it('refuse more sign-ups in an hour, and in a day, and keep no address for that long', async () => {
    expect(await refusal('signup', '203.0.113.1')).to.equal(undefined);
    const [hour, day = ''] = recorder.keys;
    expect(hour).to.match(/^limit:signup:h[\w-]{22}$/);
    expect(day).to.match(/^limit:signup-day:h[\w-]{22}$/);
    // As in the hours before.
    for (let earlier = 1; earlier < 120; earlier += 1) await counts.take(day, 86_400);
    expect(await refusal('signup', '203.0.113.1')).to.match(/from your address\. Try again in 24 hours\.$/);
    for (let at = 0; at < 40; at += 1)
      expect(await refusal('signup', '203.0.113.2'), `sign-up ${at}`).to.equal(undefined);
    expect(await refusal('signup', '203.0.113.2')).to.match(/Try again in (59|60) minutes\.$/);
    expect(refused).to.deep.equal(['signup-day', 'signup']);
  });

  it('tell the time as people do', () => {
    expect([0, 1, 40.2, 91, 899, 3598, 5401, 86_390].map(inWords)).to.deep.equal([
      '1 second',
      '1 second',
      '41 seconds',
      '2 minutes',
      '15 minutes',
      '60 minutes',
      '2 hours',
      '24 hours',
    ]);
  });
});

describe('many accounts of one address', () => {
  let world: World;
  let users: TestUser[];
  before(async () => {
    world = await createWorld({ RATE_LIMITS: 'on', TRUST_PROXY: 'loopback' });
    users = [await world.user(), await world.user()];
  });
  after(() => world.close());

  it('are refused together over REST, say when to come back, and continue elsewhere', async () => {
    const write = (user: TestUser, address: string) =>
      user.delete<object>('/posts/999999/vote', undefined, { 'x-forwarded-for': address });
    const policyOf = (headers: Headers) => headers.get('ratelimit-policy');
    for (let user = 1_000_001; user <= 1_000_010; user += 1)
      for (let at = 0; at < 600; at += 1)
        await world.ctx.countRequest('write', from('203.0.113.9'), nobodyListens, somebody(user));
    for (const user of users) {
      const refused = await write(user, '203.0.113.9');
      expect(expectProblem(refused, 429, 'too_many_requests').detail).to.include('from your address');
      expect(policyOf(refused.headers)).to.equal('"write-address";q=6000;w=60');
      expect(Number(refused.headers.get('retry-after'))).to.be.within(1, 60);
      const elsewhere = await write(user, '203.0.113.10');
      expectProblem(elsewhere, 404);
      expect(policyOf(elsewhere.headers)).to.equal('"write";q=600;w=60');
      expect((await user.get('/posts', { 'x-forwarded-for': '203.0.113.9' })).status).to.equal(200);
    }
    const { body } = await world.anonymous.get<string>('/metrics');
    expect(body).to.match(/^tidings_rate_limited_total\{limit="write-address"\} 2$/m);
  });

  it('renew their tokens where guessed ones have used up what these may, which the database is not asked for', async () => {
    const refresh = (refresh_token: string, address: string) =>
      world.anonymous.post<object>('/refresh', { refresh_token }, { 'x-forwarded-for': address });
    for (let guess = 0; guess < 600; guess += 1)
      await world.ctx.countRefresh(undefined, from('203.0.113.11'), nobodyListens);
    const [user] = users as [TestUser];
    const forged = user.refreshToken.slice(0, -1) + (user.refreshToken.endsWith('A') ? 'B' : 'A');
    for (const guess of ['a-guess', forged]) {
      const refused = await refresh(guess, '203.0.113.11');
      expect(expectProblem(refused, 429, 'too_many_requests').detail).to.include('from your address');
      expectProblem(await refresh(guess, '203.0.113.12'), 401);
    }
    const renewed = await refresh(user.refreshToken, '203.0.113.11');
    expect(renewed.status).to.equal(200);
    expect(renewed.headers.get('ratelimit-policy')).to.equal('"refresh";q=60;w=60');
    // One of an earlier version is not signed: it is known by its row.
    await execute(
      world,
      `insert into refresh_tokens (hash, session_id, expires_at, signed)
       select sha256('an earlier one'), id, now() + interval '1 day', false
       from sessions where user_id = $1 limit 1`,
      [user.id],
    );
    expect((await refresh('an earlier one', '203.0.113.12')).status).to.equal(200);
  });
});
