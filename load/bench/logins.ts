import { setTimeout as pause } from 'node:timers/promises';
import { call } from '../rest.ts';
import { type Line, newLine } from './rounds.ts';
import type { Stage } from './stage.ts';

/** Correct logins of each measurement, one after the other. */
const LOGINS = 30;
/** Requests of a flood that are sent again at most when they were refused. A second. */
const REFUSED = 400;
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
  /** Requests that are in progress at any moment. */
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

/** Where the correct logins come from: one address where their user has logged in before, or a new one each time. */
const origins = {
  'from a familiar address': () => '203.0.113.200',
  'from a new address': () => {
    newAddresses += 1;
    return `10.0.${newAddresses >> 8}.${newAddresses & 255}`;
  },
};
let newAddresses = 0;

/**
 * How long a correct login takes beside floods from other addresses, against the same at rest, at the cost of a hash that
 * operators have. Limits by number are off: a flood that they refuse would be none.
 */
export async function logins(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl, { BCRYPT_COST: '12', TRUST_PROXY: 'loopback' });
  await signUp(server.url, 'ada');
  const members = [await signUp(server.url, 'bob'), await signUp(server.url, 'carol')];
  await logIn(server.url, origins['from a familiar address']());
  const lines: Line[] = [];
  for (const flood of floodsOf(members)) {
    stage.say(`logins beside ${flood.what}`);
    lines.push(...(await linesOf(stage, server.url, flood)));
  }
  return lines;
}

async function linesOf(stage: Stage, url: string, flood: Flood): Promise<Line[]> {
  const lines = Object.entries(origins).map(([from, addressOf]) => {
    const line = newLine({
      what: `correct login ${from}, beside ${flood.what}, p99`,
      unit: 'ms',
      limit: 'the same at rest',
      reach: { atMost: 2 },
    });
    return { addressOf, refused: 0, line };
  });
  const answers = new Map<number, number>();
  for (let round = 0; round < stage.rounds; round += 1) {
    for (const measured of lines) {
      const calm = await logInOften(stage, url, measured.addressOf);
      measured.line.theirs.push(calm.slowest);
      measured.refused += calm.refused;
    }
    await beside(url, flood, answers, async () => {
      for (const measured of lines) {
        const strained = await logInOften(stage, url, measured.addressOf);
        measured.line.ours.push(strained.slowest);
        measured.refused += strained.refused;
      }
    });
  }
  const told = [...answers].map(([status, times]) => `${times} × ${status}`).join(', ');
  return lines.map(({ line, refused }) => ({
    ...line,
    notes: [`the flood was answered ${told}; of the correct logins ${refused} were refused`],
  }));
}

/** Does something while a flood continues; counts its answers by their status. */
async function beside(
  url: string,
  { atOnce, ask }: Flood,
  answers: Map<number, number>,
  act: () => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const flood = Promise.all(
    Array.from({ length: atOnce }, async (_, at) => {
      for (let time = 0; !over.signal.aborted; time += 1) {
        const status = await send(url, ask(at, time), over.signal).catch((error: unknown) => {
          if (!over.signal.aborted) throw error;
        });
        if (status === undefined) return;
        answers.set(status, (answers.get(status) ?? 0) + 1);
        // Refusals alone would make a test of the network of it, and of who has the processor, where both ends are one machine.
        if (status === 429) await pause((1000 * atOnce) / REFUSED);
      }
    }),
  );
  try {
    // Until its requests wait for each other.
    await pause(1000);
    await act();
  } finally {
    over.abort();
    await flood;
  }
}

/** The slowest, in milliseconds: of so few it is the 99th percentile. */
async function logInOften(
  stage: Stage,
  url: string,
  addressOf: () => string,
): Promise<{ slowest: number; refused: number }> {
  let slowest = 0;
  let refused = 0;
  for (let at = 0; at < Math.ceil(LOGINS / stage.scale); at += 1) {
    const asked = performance.now();
    if ((await logIn(url, addressOf())) !== 200) refused += 1;
    slowest = Math.max(slowest, performance.now() - asked);
  }
  return { slowest, refused };
}

function logIn(url: string, address: string): Promise<number> {
  const body = { email: 'ada@example.org', password: PASSWORD };
  return send(url, { method: 'POST', path: '/login', address, body });
}

/**
 * The status of the answer. Asked again over another connection where the server has just closed an idle one, which a client
 * cannot know, and `fetch` repeats no POST by itself.
 */
async function send(
  url: string,
  { method, path, address, token, body }: Request,
  over?: AbortSignal,
): Promise<number> {
  const ask = () =>
    fetch(url + path, {
      method,
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': address,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([AbortSignal.timeout(60_000), ...(over ? [over] : [])]),
    });
  const answer = await ask().catch((error: unknown) => {
    const { cause } = error as { cause?: { code?: string } };
    if (cause?.code !== 'UND_ERR_SOCKET') throw error;
    return ask();
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
