import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Subscribed } from '../../server/contract.ts';
import { EventParser } from './event-parser.ts';
import { RawClient } from './raw-client.ts';
import { execute } from './tables.ts';
import { until } from './waiting.ts';
import { Api, type TestUser, type World } from './world.ts';

/** An event as somebody was handed it. */
export interface Handed {
  seq: number;
  name: string;
  data: { id?: number; redacted?: true };
}

/** All that came over one way, and the bytes of it. */
export interface Listening {
  events: () => readonly Handed[];
  text: () => string;
  end: () => void;
}

/** Who listens, where, to what and from which position on; without one from now on. */
export interface Listener {
  url: string;
  user: TestUser;
  /** Undefined: everything public. */
  topic: string | undefined;
  after: number;
  epoch: string;
}

const auth = ({ user, topic, after, epoch }: Listener) => ({
  token: user.token,
  after,
  epoch,
  ...(topic !== undefined && { topics: [topic] }),
});

const query = ({ topic, after, epoch }: Listener) =>
  `after=${after}&epoch=${epoch}${topic === undefined ? '' : `&topics=${encodeURIComponent(topic)}`}`;

/** A socket. */
export async function overSocket(listener: Listener): Promise<Listening> {
  const client = await RawClient.join(listener.url, auth(listener));
  return {
    events: () =>
      client.events.flatMap(({ name, args: [data, position] }) => {
        if (!name.includes(':') || name === 'feed:head') return [];
        return [{ name, data: data as Handed['data'], seq: (position as { seq: number }).seq }];
      }),
    text: () => client.frames.join('\n'),
    end: () => client.terminate(),
  };
}

/** Server-sent events. */
export async function overStream(listener: Listener): Promise<Listening> {
  const abort = new AbortController();
  const response = await fetch(`${listener.url}/events/stream?${query(listener)}`, {
    headers: { authorization: `Bearer ${listener.user.token}` },
    signal: abort.signal,
  });
  if (response.status !== 200) throw new Error(`a stream: ${response.status}`);
  const events: Handed[] = [];
  const parser = new EventParser();
  let text = '';
  const read = async () => {
    for await (const piece of response.body as ReadableStream<Uint8Array>) {
      text += Buffer.from(piece).toString();
      for (const { id, event, data } of parser.read(piece).filter(({ event }) => event !== 'feed:head'))
        events.push({ name: event, seq: Number(id.split(':')[1]), data: JSON.parse(data) as Handed['data'] });
    }
  };
  read().catch(() => undefined);
  return { events: () => events, text: () => text, end: () => abort.abort() };
}

/**
 * Requests one after the other, each from where the one before ended: with `wait` as long-polls, without it as far as
 * there is something.
 */
function overRequests(listener: Listener, wait: number): Listening {
  const events: Handed[] = [];
  let text = '';
  let isOver = false;
  const api = new Api(listener.url, listener.user.token);
  const ask = async () => {
    for (let { after } = listener; !isOver;) {
      const { status, body } = await api.get<{ head: number; events: Handed[] }>(
        `/events?${query({ ...listener, after })}&limit=500&wait=${wait}`,
      );
      if (status !== 200) throw new Error(`GET /events: ${status} ${JSON.stringify(body)}`);
      text += JSON.stringify(body);
      events.push(...body.events);
      after = body.events.at(-1)?.seq ?? body.head;
      isOver ||= wait === 0 && body.events.length === 0;
    }
  };
  ask().catch((error: unknown) => (text += String(error)));
  return { events: () => events, text: () => text, end: () => (isOver = true) };
}

export const overPoll = (listener: Listener): Promise<Listening> =>
  Promise.resolve(overRequests(listener, 10));
export const overGet = (listener: Listener): Promise<Listening> => Promise.resolve(overRequests(listener, 0));

/**
 * The answer to `subscribe` with a position: public events alone, as all that is private comes in the stream. A node
 * that has much to read for others may answer `reset` in place of the events, and is asked again.
 */
export async function overSubscribe(listener: Listener): Promise<Listening> {
  const { topic, after, epoch, ...who } = listener;
  const client = await RawClient.join(who.url, { token: who.user.token, topics: [] });
  const ask = async (times: number) => {
    client.emit('subscribe', { topics: [topic], from: after, epoch }, times);
    return (await client.acknowledged(times)) as { ok: boolean; data: Subscribed };
  };
  let times = 0;
  let answer: Awaited<ReturnType<typeof ask>> | undefined;
  await until('the events of a topic', async () => {
    answer = await ask((times += 1));
    if (!answer.ok) throw new Error(`subscribe: ${JSON.stringify(answer)}`);
    return !answer.data.reset;
  });
  const events = answer!.data.events as unknown as Handed[];
  return { events: () => events, text: () => client.frames.join('\n'), end: () => client.terminate() };
}

/** Webhooks of a world that may go to this machine. Each has a path of its own at one receiver, which takes all that comes. */
export async function webhooksOf(world: World) {
  const takers = new Map<string, (text: string) => void>();
  const server = createServer((req, res) => {
    let text = '';
    req.on('data', (piece: Buffer) => (text += piece.toString()));
    req.on('end', () => {
      takers.get(req.url ?? '')?.(text);
      res.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { seal, changed } = world.ctx.webhooks;
  return {
    over: async ({ user, topic, after, epoch }: Listener): Promise<Listening> => {
      const [id, events] = [randomUUID(), [] as Handed[]];
      let text = '';
      let last = after;
      takers.set(`/${id}`, (body) => {
        text += body;
        const { type, seq, data } = JSON.parse(body) as { type: string } & Handed;
        // It comes at least once; a receiver ignores what is not newer.
        if (seq <= last) return;
        last = seq;
        events.push({ name: type, seq, data });
      });
      await execute(
        world,
        `insert into webhooks (id, user_id, url, topics, secret, epoch, position) values ($1, $2, $3, $4, $5, $6, $7)`,
        [
          id,
          user.id,
          `http://127.0.0.1:${port}/${id}`,
          topic === undefined ? null : [topic],
          seal.close('whsec_'),
          epoch,
          after,
        ],
      );
      changed(id);
      return { events: () => events, text: () => text, end: () => void takers.delete(`/${id}`) };
    },
    stop: async () => {
      await execute(world, 'delete from webhooks');
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
