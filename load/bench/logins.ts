import { setTimeout as pause } from 'node:timers/promises';
import { call } from '../rest.ts';
import type { Line } from './rounds.ts';
import type { Stage } from './stage.ts';

/** Correct logins of each measurement, one after the other. */
const LOGINS = 30;
const PASSWORD = 'a password of the bench';

/** One request of a flood: its number among those that ask at once, and how often it has asked. */
type Ask = (at: number, time: number) => Request;

interface Request {
  method: string;
  path: string;
  address: string;
  token?: string;
  body: unknown;
}

interface Flood {
  what: string;
  /** Requests that are under way at any moment. */
  atOnce: number;
  ask: Ask;
}

interface Member {
  token: string;
  password: string;
}

const wrongLogin = (email: string, address: string): Request => ({
  method: 'POST',
  path: '/login',
  address,
  body: { email, password: 'a wrong one' },
});

const floodsOf = (members: readonly Member[]): readonly Flood[] => [
  {
    what: '40 wrong logins of one address',
    atOnce: 40,
    ask: (at) => wrongLogin(`nobody-${at}@example.org`, '203.0.113.1'),
  },
  {
    what: '31 sign-ups of one address',
    atOnce: 31,
    ask: (at, time) => ({
      method: 'POST',
      path: '/users',
      address: '203.0.113.2',
      body: { email: `flood-${process.pid}-${Date.now()}-${at}-${time}@example.org`, password: PASSWORD },
    }),
  },
  {
    what: '2 accounts that change their passwords',
    atOnce: members.length * 12,
    // Its own password is the new one, so that each of several at once is right.
    ask: (at) => {
      const { token, password } = members[at % members.length] ?? { token: '', password: '' };
      return {
        method: 'PATCH',
        path: '/users/me',
        address: `203.0.113.${3 + (at % members.length)}`,
        token,
        body: { password, current_password: password },
      };
    },
  },
  {
    what: 'wrong logins of 50 addresses',
    atOnce: 50,
    ask: (at) => wrongLogin(`nobody-${at}@example.org`, `198.51.100.${at + 1}`),
  },
  {
    what: 'wrong logins of 200 addresses',
    atOnce: 200,
    ask: (at) => wrongLogin(`nobody-${at}@example.org`, `192.0.2.${at + 1}`),
  },
];

/**
 * How long a correct login takes beside floods from other addresses, against the same at rest, at the cost of a hash that
 * operators have. Limits by number are off: a flood that they refuse would be none.
 */
export async function logins(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl, { BCRYPT_COST: '12', TRUST_PROXY: 'loopback' });
  try {
    await signUp(server.url, 'ada');
    const members = [await signUp(server.url, 'bob'), await signUp(server.url, 'carol')];
    const lines: Line[] = [];
    for (const flood of floodsOf(members)) {
      stage.say(`logins beside ${flood.what}`);
      lines.push(await lineOf(stage, server.url, flood));
    }
    return lines;
  } finally {
    await server.stop();
  }
}

async function lineOf(stage: Stage, url: string, { what, atOnce, ask }: Flood): Promise<Line> {
  const line: Line = {
    what: `correct login beside ${what}, p99`,
    unit: 'ms',
    limit: 'the same at rest',
    ours: [],
    theirs: [],
    reach: { atMost: 2 },
    notes: [],
  };
  const answers = new Map<number, number>();
  let refused = 0;
  for (let round = 0; round < stage.rounds; round += 1) {
    const calm = await logInOften(stage, url);
    let over = false;
    const flood = Promise.all(
      Array.from({ length: atOnce }, async (_, at) => {
        for (let time = 0; !over; time += 1) {
          const status = await send(url, ask(at, time));
          answers.set(status, (answers.get(status) ?? 0) + 1);
          // Refusals alone would make a test of the network of it.
          if (status === 429) await pause(50);
        }
      }),
    );
    // Until its requests wait for each other.
    await pause(1000);
    const strained = await logInOften(stage, url);
    over = true;
    await flood;
    refused += calm.refused + strained.refused;
    line.theirs.push(worst(calm.took));
    line.ours.push(worst(strained.took));
  }
  const told = [...answers].map(([status, times]) => `${times} × ${status}`).join(', ');
  line.notes.push(`the flood was answered ${told}; of the correct logins ${refused} were refused`);
  return line;
}

/** Of so few the slowest is the 99th percentile. */
function worst(took: readonly number[]): number {
  return Math.max(...took);
}

async function logInOften(stage: Stage, url: string): Promise<{ took: number[]; refused: number }> {
  const took: number[] = [];
  let refused = 0;
  for (let at = 0; at < Math.ceil(LOGINS / stage.scale); at += 1) {
    const asked = performance.now();
    const status = await send(url, {
      method: 'POST',
      path: '/login',
      address: '203.0.113.200',
      body: { email: 'ada@example.org', password: PASSWORD },
    });
    took.push(performance.now() - asked);
    if (status !== 200) refused += 1;
  }
  return { took, refused };
}

async function send(url: string, { method, path, address, token, body }: Request): Promise<number> {
  const answer = await fetch(url + path, {
    method,
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': address,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}

async function signUp(url: string, username: string): Promise<Member> {
  const email = `${username}@example.org`;
  await call(url, 'POST', '/users', { body: { email, password: PASSWORD, username } });
  const { body } = await call(url, 'POST', '/login', { body: { email, password: PASSWORD } });
  return { token: (body as { access_token: string }).access_token, password: PASSWORD };
}
