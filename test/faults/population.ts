import { withDeadline } from '../../client/src/deadline.ts';
import { Api, logIn, signUp, type TestUser } from '../support/world.ts';
import { AccessTokens } from '../../server/auth/tokens.ts';
import { claimsOf } from './token-claims.ts';
import { until } from '../support/waiting.ts';
import { type Cluster, SECRET } from './cluster.ts';
import type { Random } from './random.ts';
import { Recorder } from './recorder.ts';
import type { Listener } from './listener.ts';
import { PackageClient } from './package-client.ts';
import { PollClient } from './poll-client.ts';
import { StockClient } from './stock-client.ts';
import { StreamClient } from './stream-client.ts';
import type { View } from './history.ts';
import { writePost } from '../support/posts.ts';
import { Writer } from './writer.ts';

/** How often somebody tries to sign up. */
const ARRIVALS = 5;
/** How long an access token lives that is renewed again and again. Milliseconds. */
const RENEWED_EVERY = 4000;
/** Who joins, in turn. */
const KINDS = [
  StockClient,
  StreamClient,
  StockClient,
  PackageClient,
  StockClient,
  PollClient,
  StockClient,
  PackageClient,
];
/** Who listens to topics, in turn. */
const TOPICAL_KINDS = [StockClient, StreamClient, PollClient, PackageClient];
/** What people write of. */
const TAGS = ['ferry', 'harbour'] as const;
/** Whose session may end meanwhile, in turn. */
const MORTAL_KINDS = [StockClient, StreamClient, PollClient];

export interface PopulationOptions {
  writers: number;
  clients: number;
  /** Writes in a second, of all writers together. */
  rate: number;
  /** The share of creations that are repeated at once. */
  nervous: number;
  /** Clients that take some topics alone, beside the others; with any, people write replies and tags. Default: none. */
  topical?: number;
  /** Whether some of the clients follow by streams and long-polls. Default: yes. */
  overHttp?: boolean;
}

/** Who lives on a cluster during a run: people who write, and clients that listen. */
export class Population {
  readonly recorder = new Recorder();
  readonly writers: Writer[] = [];
  readonly clients: Listener[] = [];
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #mortals: TestUser[] = [];
  #kinds: readonly (typeof KINDS)[number][] = KINDS;
  #listener: TestUser | undefined;
  #serial = 0;
  #shunned: string | undefined;

  constructor(cluster: Cluster, random: Random) {
    this.#cluster = cluster;
    this.#random = random;
  }

  /** Signs everyone up and connects the clients. Nobody writes yet. */
  async settle({
    writers,
    clients,
    rate,
    nervous,
    topical = 0,
    overHttp = true,
  }: PopulationOptions): Promise<void> {
    const { url } = this.#cluster.node(0).process;
    if (!overHttp) this.#kinds = KINDS.filter((Kind) => Kind === StockClient || Kind === PackageClient);
    this.#listener = await arrive(url, 'listener');
    const thread = topical > 0 ? await this.#beginThread(url) : undefined;
    for (let at = 1; at <= writers; at += 1) {
      const user = await arrive(url, `writer${at}`);
      this.writers.push(
        new Writer({
          name: `w${at}`,
          userId: user.id,
          token: user.token,
          urls: () => this.#urls,
          recorder: this.recorder,
          random: this.#random.fork(),
          nervous,
          pace: (1000 * writers) / rate,
          ...(thread === undefined ? {} : { topical: { thread, tags: TAGS } }),
        }),
      );
    }
    for (let at = 1; at <= 6; at += 1) this.#mortals.push(await arrive(url));
    for (let at = 0; at < clients; at += 1) this.join();
    if (thread !== undefined) await this.#joinTopics(topical, thread, url);
    await until('all clients are greeted', () => this.clients.every((client) => client.ready), 20_000);
  }

  /** A post of somebody who does nothing else. */
  async #beginThread(url: string): Promise<number> {
    const host = await arrive(url, 'host');
    const begin = Date.now();
    const { id, version } = await writePost(host, { title: 'thread create' });
    this.recorder.writes.push({
      key: 'thread',
      op: 'create',
      userId: host.id,
      begin,
      end: Date.now(),
      outcome: 'ok',
      status: 201,
      postId: id,
      version,
      event: 'post:created',
    });
    return id;
  }

  /** Clients of a user who follows every other writer, over each transport, with topics of each kind. */
  async #joinTopics(count: number, thread: number, url: string): Promise<void> {
    const user = await arrive(url, 'reader');
    const follows = this.writers.filter((_, at) => at % 2 === 1).map(({ userId }) => userId);
    for (const id of follows) {
      const { status } = await user.put(`/users/${id}/follow`);
      if (status !== 200) throw new Error(`a follow was answered with ${status}`);
    }
    const author = `author:${this.writers[0]?.userId ?? 0}`;
    const views = [
      ['home'],
      [`thread:${thread}`],
      [`tag:${TAGS[0]}`],
      [author],
      ['feed', `tag:${TAGS[1]}`],
      ['home', author, `thread:${thread}`],
    ];
    for (let at = 0; at < count; at += 1) {
      const turn = Math.floor(at / TOPICAL_KINDS.length);
      const Kind = TOPICAL_KINDS[at % TOPICAL_KINDS.length] ?? StockClient;
      const topics = views[(at + turn) % views.length] ?? [];
      const view: View = { topics, userId: user.id, follows };
      const overHttp = Kind === StreamClient || Kind === PollClient;
      const client = new Kind({
        name: `topical ${at + 1}`,
        url: this.#cluster.url,
        user,
        recorder: this.recorder,
        tallies: 'tracked',
        view,
        ...(overHttp && turn % 2 === 1 ? { renew: this.#shortTokens(user) } : {}),
      });
      this.clients.push(client);
      client.start();
    }
  }

  /** One more client, that begins now or at a position. */
  join(from?: { after: number; epoch: string }): Listener {
    const serial = (this.#serial += 1);
    const Kind = this.#kinds[(serial - 1) % this.#kinds.length] ?? StockClient;
    const overHttp = Kind === StreamClient || Kind === PollClient;
    const client = new Kind({
      name: `client ${serial}`,
      url: this.#cluster.url,
      user: this.listener,
      recorder: this.recorder,
      tallies: serial % 3 === 0 ? 'tracked' : 'all',
      ...(overHttp && serial % (2 * KINDS.length) < KINDS.length
        ? { renew: this.#shortTokens(this.listener) }
        : {}),
      ...(from ? { from } : {}),
    });
    this.clients.push(client);
    client.start();
    return client;
  }

  /** One more client, whose session ends meanwhile: it logs out, or its token expires. Nothing if nobody is left to. */
  async mortal(): Promise<void> {
    const user = this.#mortals.pop();
    if (!user) return;
    const lifetime = 3000 + this.#random.below(5000);
    const short = this.#random.chance(0.5) ? shortened(user, lifetime) : undefined;
    const Kind = MORTAL_KINDS[this.#mortals.length % MORTAL_KINDS.length] ?? StockClient;
    const client = new Kind({
      name: `mortal ${user.id} (${short ? 'expires' : 'logs out'})`,
      url: this.#cluster.url,
      user: { email: user.email, password: user.password, token: short?.token ?? user.token },
      recorder: this.recorder,
    });
    client.history.present = false;
    this.clients.push(client);
    client.start();
    if (short) {
      client.history.endOfSession = short.endsAt;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, lifetime));
    for (const node of this.#cluster.nodes) {
      const answer = await withDeadline(4000, undefined, (signal) =>
        fetch(`${node.process.url}/logout`, {
          method: 'POST',
          headers: { authorization: `Bearer ${user.token}` },
          signal,
        }),
      ).catch(() => undefined);
      if (answer?.status !== 204 && answer?.status !== 401) continue;
      client.history.endOfSession = Date.now();
      return;
    }
  }

  /** Tokens of a login session of its own, which live for seconds: each is got with the refresh token of the one before. */
  #shortTokens(user: TestUser): () => Promise<string> {
    let session: TestUser | undefined;
    let refreshToken: string | undefined;
    return async () => {
      if (!session || refreshToken === undefined) {
        session = await logIn(this.#random.pick(this.#urls), user);
        ({ refreshToken } = session);
        return shortened(session, RENEWED_EVERY).token;
      }
      const { status, body } = await new Api(this.#random.pick(this.#urls)).post<{
        access_token: string;
        refresh_token: string;
      }>('/refresh', { refresh_token: refreshToken });
      // The answer may have been lost for longer than the token may be said again.
      if (status === 401) refreshToken = undefined;
      if (status !== 200) throw new Error(`a refresh was answered with ${status}`);
      refreshToken = body.refresh_token;
      return shortened({ id: session.id, token: body.access_token }, RENEWED_EVERY).token;
    };
  }

  /** No write goes to this node from here on; undefined: to all again. */
  shun(url: string | undefined): void {
    this.#shunned = url;
  }

  get #urls(): string[] {
    const urls = this.#cluster.reachable.map((node) => node.process.url);
    return urls.length > 1 ? urls.filter((url) => url !== this.#shunned) : urls;
  }

  get listener(): TestUser {
    if (!this.#listener) throw new Error('nobody has settled here yet');
    return this.#listener;
  }

  /** Somebody who neither writes nor listens. */
  get outsider(): TestUser {
    const [first] = this.#mortals;
    if (!first) throw new Error('nobody is left');
    return first;
  }

  write(): void {
    for (const writer of this.writers) writer.start();
  }

  async hush(): Promise<void> {
    await Promise.all(this.writers.map((writer) => writer.stop()));
  }

  /** The clients that are to be at the head when all is at rest. */
  get present(): Listener[] {
    return this.clients.filter(({ history }) => history.present);
  }

  leave(): void {
    for (const client of this.clients) client.stop();
  }
}

/** Signs up as a person does, who tries again when the service is busy. */
export async function arrive(url: string, username?: string): Promise<TestUser> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await signUp(url, username);
    } catch (error) {
      if (attempt === ARRIVALS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/** An access token of the same session that ends sooner; the nodes' own kind, signed with their secret. */
export function shortened(
  user: Pick<TestUser, 'id' | 'token'>,
  lifetime: number,
): { token: string; endsAt: number } {
  const { sid } = claimsOf(user.token);
  const token = new AccessTokens([SECRET], lifetime).sign(user.id, sid);
  return { token, endsAt: claimsOf(token).exp * 1000 };
}
