import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import type { FeedEvent, PostView, Problem } from '../server/contract.ts';
import { type OwnService, startService } from './support/own-service.ts';
import { expectProblem } from './support/problems.ts';
import { endRawClients, RawClient } from './support/raw-client.ts';
import { rawRequest } from './support/raw-request.ts';
import { startRedis } from './support/redis.ts';
import { inOneTry } from './support/tries.ts';
import { until } from './support/waiting.ts';
import { type Answer, PASSWORD } from './support/world.ts';

const FAILURES = 4;
const VOTES = 3;
/** ConnectionLimits of each worker, and what one user may have of them. */
const PLACES = 30;
const PER_USER = 3;
/** What README tells of sign-ups of one address in an hour. */
const SIGN_UPS = 40;
/** Requests that both of two workers see some of: the primary hands connections to them in turn. */
const BOTH = 4;

const variants = [1, 2].flatMap((workers) => [false, true].map((hasRedis) => ({ workers, hasRedis })));

interface Account {
  id: number;
  email: string;
  username: string;
  token: string;
}

/**
 * What is defended by counts, turns and places that processes share, in each way in which they may share them. Every request
 * has a connection of its own, and so goes to either worker.
 */
describe('what is everyone’s is defended', () => {
  const services = new Map<(typeof variants)[number], OwnService>();
  before(async () => {
    await Promise.all(
      variants.map(async (variant) => {
        const service = await startService({
          workers: variant.workers,
          redis: variant.hasRedis ? await startRedis() : undefined,
          env: {
            BCRYPT_COST: '6',
            TRUST_PROXY: 'loopback',
            LOGIN_FAILURES: String(FAILURES),
            VOTES_PER_ADDRESS: String(VOTES),
            MAX_CONNECTIONS: String(PLACES),
          },
        });
        services.set(variant, service);
      }),
    );
  });
  afterEach(endRawClients);
  after(async () => {
    await Promise.all([...services.values()].map((service) => service.stop()));
    expect([...services.values()].flatMap(({ service }) => service.misconduct)).to.be.empty;
  });

  for (const variant of variants)
    describe(`${variant.workers === 1 ? 'in one process' : 'in two workers'}, ${variant.hasRedis ? 'with' : 'without'} Redis`, () => {
      let url: string;
      before(() => {
        url = services.get(variant)!.service.url;
      });

      let places = 0;
      const somewhere = () => `198.18.${Math.floor((places += 1) / 250)}.${(places % 250) + 1}`;
      const send = <T = unknown>(
        method: string,
        path: string,
        {
          address,
          token,
          body,
          ...headers
        }: {
          address: string;
          token?: string;
          body?: object;
          origin?: string;
          host?: string;
        },
      ): Promise<Answer<T>> =>
        rawRequest<T>(url, {
          method,
          path,
          headers: {
            'x-forwarded-for': address,
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
      const login = (email: string, password: string, address: string) =>
        send<{ access_token: string }>('POST', '/login', { address, body: { email, password } });
      const signUp = (address: string) => {
        const name = `u${randomUUID().slice(0, 12)}`;
        const body = { email: `${name}@example.org`, password: PASSWORD, username: name };
        return send<Omit<Account, 'token'>>('POST', '/users', { address, body });
      };
      /** Somebody who has signed up and logged in at addresses of their own. */
      async function somebody(): Promise<Account> {
        const made = await signUp(somewhere());
        expect(made.status).to.equal(201);
        const { body } = await login(made.body.email, PASSWORD, somewhere());
        return { ...made.body, token: body.access_token };
      }
      async function write({ token }: Account, title = 'Hello'): Promise<PostView> {
        const body = { title, content: 'world' };
        const answer = await send<PostView>('POST', '/posts', { address: somewhere(), token, body });
        expect(answer.status).to.equal(201);
        return answer.body;
      }

      it('lets a correct login in beside forty wrong ones at once from another address', async () => {
        const ada = await somebody();
        const address = somewhere();
        let answered = 0;
        const flood = Array.from({ length: 40 }, async (_, at) => {
          const { status } = await login(`nobody-${at}@example.org`, 'a guess', address);
          answered += 1;
          return status;
        });
        await until('the flood to have begun', () => answered > 0);
        expect((await login(ada.email, PASSWORD, somewhere())).status).to.equal(200);
        for (const status of await Promise.all(flood)) expect(status).to.be.oneOf([403, 429]);
      });

      it('lets an owner log in after twenty posts of a page of another site', async () => {
        const ada = await somebody();
        const address = somewhere();
        for (let at = 0; at < 20; at += 1) {
          const body = { email: ada.email, password: `guess ${at}` };
          const answer = await send<object>('POST', '/login', {
            address,
            body,
            origin: 'https://evil.example',
          });
          expectProblem(answer, 403, 'forbidden');
          expect(answer.headers.get('ratelimit')).to.equal(null);
        }
        expect((await login(ada.email, PASSWORD, address)).status).to.equal(200);
      });

      it('offers an account so many wrong passwords in all, and lets an owner who is logged in continue', () =>
        inOneTry(async () => {
          const ada = await somebody();
          const statuses: number[] = [];
          for (let at = 0; at < 2 * FAILURES; at += 1)
            statuses.push((await login(ada.email, 'a guess', somewhere())).status);
          expect(statuses).to.deep.equal([
            ...Array<number>(FAILURES).fill(403),
            ...Array<number>(FAILURES).fill(429),
          ]);
          for (let at = 0; at < BOTH; at += 1) {
            const changed = await send('PATCH', '/users/me', {
              address: somewhere(),
              token: ada.token,
              body: { password: PASSWORD, current_password: PASSWORD },
            });
            expect(changed.status).to.equal(200);
          }
        }));

      it('gives one token its share of the places, and leaves the others to others', async () => {
        const [ada, bob] = [await somebody(), await somebody()];
        const enter = async ({ token }: Account, address: string): Promise<number> => {
          const client = await RawClient.open(url, { 'x-forwarded-for': address });
          client.send(`40${JSON.stringify({ token })}`);
          const refusal = () => client.frames.find((frame) => frame.startsWith('44'));
          await until('an answer', () => client.heard('ready').length > 0 || refusal() !== undefined);
          const frame = refusal();
          return frame === undefined ? 200 : (JSON.parse(frame.slice(2)) as { data: Problem }).data.status;
        };
        const address = somewhere();
        const outcomes: number[] = [];
        for (let at = 0; at < 5 * PER_USER; at += 1) outcomes.push(await enter(ada, address));
        const letIn = outcomes.filter((status) => status === 200);
        expect(letIn).to.have.lengthOf(PER_USER * variant.workers);
        expect(new Set(outcomes)).to.deep.equal(new Set([200, 429]));
        for (let at = 0; at < variant.workers; at += 1) expect(await enter(bob, somewhere())).to.equal(200);
      });

      it('makes forty accounts an hour for one address, and more for another', () =>
        inOneTry(async () => {
          const address = somewhere();
          const statuses: number[] = [];
          while (statuses.length < SIGN_UPS + BOTH) {
            const some = await Promise.all(Array.from({ length: BOTH }, () => signUp(address)));
            for (const { status } of some) statuses.push(status);
          }
          expect(statuses.filter((status) => status === 201)).to.have.lengthOf(SIGN_UPS);
          expect(statuses.slice(SIGN_UPS)).to.deep.equal(Array(BOTH).fill(429));
          expect((await signUp(somewhere())).status).to.equal(201);
        }));

      it('counts so many votes for one post by new accounts of one address, and no more', () =>
        inOneTry(async () => {
          const post = await write(await somebody());
          const ring = await Promise.all(Array.from({ length: 3 * VOTES }, somebody));
          const address = somewhere();
          const votes = await Promise.all(
            ring.map(({ token }) => send<object>('PUT', `/posts/${post.id}/vote`, { address, token })),
          );
          const refused = votes.filter(({ status }) => status !== 200);
          for (const answer of refused) expectProblem(answer, 429, 'too_many_requests');
          expect(refused.length).to.be.at.least(2 * VOTES);
          // At once, each process and Redis may count them in another order, and one that fits is refused. It fits later.
          const again: number[] = [];
          for (const [at, { token }] of ring.entries())
            if (votes[at]?.status !== 200)
              again.push((await send('PUT', `/posts/${post.id}/vote`, { address, token })).status);
          expect(again).to.have.lengthOf(refused.length);
          expect(again.filter((status) => status === 200)).to.have.lengthOf(refused.length - 2 * VOTES);
          expect(new Set(again.slice(-2 * VOTES))).to.deep.equal(new Set([429]));
        }));

      it('lets no page of another site use a socket’s session, at whichever worker', async () => {
        const ada = await somebody();
        const polling = '/socket.io/?EIO=4&transport=polling';
        const begun = await send<string>('GET', polling, { address: somewhere() });
        const { sid } = JSON.parse(begun.body.slice(1)) as { sid: string };
        for (let at = 0; at < BOTH; at += 1) {
          const foreign = await send<object>('GET', `${polling}&sid=${sid}`, {
            address: somewhere(),
            origin: 'https://evil.example',
          });
          expectProblem(foreign, 403, 'forbidden');
        }
        const joined = await rawRequest(url, {
          method: 'POST',
          path: `${polling}&sid=${sid}`,
          body: `40${JSON.stringify({ token: ada.token })}`,
        });
        expect(joined.status).to.equal(200);
      });

      it('answers at both workers to no other name than its own', async () => {
        for (let at = 0; at < BOTH; at += 1) {
          expectProblem(
            await send<object>('GET', '/healthz', { address: somewhere(), host: 'evil.example' }),
            421,
            'misdirected',
          );
          expect((await send('GET', '/healthz', { address: somewhere() })).status).to.equal(200);
        }
      });

      it('keeps no word that an edit took out, whichever worker is asked for the log', async () => {
        const ada = await somebody();
        const head = async () => {
          const { body } = await send<{ head: number }>('GET', '/events', {
            address: somewhere(),
            token: ada.token,
          });
          return body.head;
        };
        const before = await head();
        const secret = `secret-${randomUUID()}`;
        const post = await write(ada, secret);
        const edited = await send('PATCH', `/posts/${post.id}`, {
          address: somewhere(),
          token: ada.token,
          body: { title: 'nothing' },
        });
        expect(edited.status).to.equal(200);
        for (let at = 0; at < BOTH; at += 1) {
          let events: FeedEvent[] = [];
          await until('both events', async () => {
            const { body } = await send<{ events?: FeedEvent[] }>('GET', `/events?after=${before}`, {
              address: somewhere(),
              token: ada.token,
            });
            // One that has not heard of this position yet says that there is none.
            events = body.events ?? [];
            return events.some(({ name }) => name === 'post:updated');
          });
          expect(JSON.stringify(events)).not.to.contain(secret);
        }
      });
    });
});
