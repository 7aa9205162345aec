import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import pg from 'pg';
import { Server } from 'socket.io';

/** The baseline of a start: Express, pg and Socket.IO are loaded, the database has answered, and the port is open. */
const app = express();
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
app.get('/', async (_req, res) => void res.json((await pool.query('select 1')).rows));
const http = createServer(app);
const io = new Server(http);
await pool.query('select 1');
http.listen(0, '127.0.0.1', () => {
  const { port } = http.address() as AddressInfo;
  process.stdout.write(`The bare server is ready at http://127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => void Promise.all([io.close(), pool.end()]));
