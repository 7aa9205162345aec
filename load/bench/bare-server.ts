import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import express from 'express';
import { Redis } from 'ioredis';
import pg from 'pg';
import { WebSocketServer } from 'ws';
import { textFrame } from '../../server/library-internals/text-frame.ts';
import type { FromBareServer, ToBareServer } from './bare-messages.ts';

/**
 * The baseline of the bench: a minimal server written only for speed. In its own process, so that its CPU time can be
 * measured separately.
 */

/** Of Redis, for posts. */
const CHANNEL = 'bare posts';

/** A WebSocket server that says to a client what it needs to hear, and keeps no more of it than ws does. */
function startFeed(): { server: ReturnType<typeof createServer>; tell: (bytes: Buffer) => void } {
  const server = createServer();
  const sockets = new Set<Socket>();
  const feed = new WebSocketServer({ server, perMessageDeflate: false });
  feed.on('connection', (socket, { socket: tcp }) => {
    sockets.add(tcp);
    socket.on('close', () => sockets.delete(tcp));
    socket.on('error', () => socket.terminate());
    socket.on('message', (data: Buffer) => {
      if (data[0] !== 0x34) return;
      socket.send('42["ready",{"epoch":"bare","seq":0,"user_id":1,"outcome":"current"}]');
    });
    socket.send('0{"sid":"bare"}');
  });
  return {
    server,
    tell: (bytes) => {
      // One write of one prepared buffer per socket: nothing can be cheaper from here.
      for (const socket of sockets) socket.write(bytes);
    },
  };
}

/** Express and nothing else: two routes that answer given bytes, and one that inserts what a post inserts and publishes it. */
function startHttp(
  databaseUrl: string | undefined,
  redis: Redis | undefined,
): {
  server: ReturnType<typeof createServer>;
  answer: (body: string) => void;
} {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  let body = '[]';
  app.get('/posts', (_req, res) => void res.type('json').send(body));
  app.post('/vote', express.json(), (_req, res) => void res.status(201).type('json').send(body));
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  // The service's tables with their indexes, but without its triggers, which do a part of its work.
  const tables = ['posts', 'post_tallies', 'event_outbox'].map(
    (name) =>
      `create table if not exists bare.${name} (like ${name} including defaults including identity including indexes)`,
  );
  const prepared = databaseUrl && pool.query(['create schema if not exists bare', ...tables].join('; '));
  app.post('/posts', express.json(), async (req, res) => {
    const { title, content } = req.body as { title: string; content: string };
    await prepared;
    const client = await pool.connect();
    try {
      await client.query('begin');
      const { rows } = await client.query<{ id: number }>({
        name: 'post',
        text: 'insert into bare.posts (owner_id, title, content) values (1, $1, $2) returning *',
        values: [title, content],
      });
      const [post] = rows;
      await client.query({
        name: 'tally',
        text: 'insert into bare.post_tallies (post_id, hot) values ($1, hot_rank(0, now()))',
        values: [post?.id],
      });
      await client.query({
        name: 'outbox',
        text: `insert into bare.event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data)
               values ('post:created', 'post', $1, 'public', '{feed}', 'nothing', '{title,content}', $2)`,
        values: [post?.id, JSON.stringify(post)],
      });
      await client.query('commit');
      // As a number, not as pg's text of a bigint.
      const told = { ...post, id: Number(post?.id) };
      await redis?.publish(CHANNEL, JSON.stringify(told));
      res.status(201).json(told);
    } finally {
      client.release();
    }
  });
  return { server: createServer(app), answer: (text) => (body = text) };
}

const [kind, databaseUrl, redisUrl] = process.argv.slice(2);
const redis = redisUrl ? new Redis(redisUrl) : undefined;
const feed = kind === 'feed' ? startFeed() : undefined;
const http = kind === 'http' ? startHttp(databaseUrl, redis) : undefined;
const server = feed?.server ?? http?.server;
if (!server) throw new Error('feed or http?');

process.on('message', (message: ToBareServer) => {
  if (message.type === 'answer') http?.answer(message.body);
  else if (message.type === 'tell') feed?.tell(textFrame(message.text));
});
if (redis && feed) {
  let seq = 0;
  redis.on('message', (_channel, post) => {
    seq += 1;
    feed.tell(textFrame(`42["post:created",${post},{"seq":${seq},"prev":${seq - 1}}]`));
  });
  await redis.subscribe(CHANNEL);
}
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ type: 'listening', url: `http://127.0.0.1:${port}` } satisfies FromBareServer);
});
