import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { routes } from '../../server/app.ts';
import type { JsonSchema } from '../../server/api/json-schema.ts';
import type { Random } from '../faults/random.ts';
import { type Campaign, inTurns } from './campaign.ts';
import { mutateBytes } from './mutation.ts';

const odd: readonly unknown[] = [
  null,
  true,
  -1,
  0.5,
  2 ** 53,
  1e308,
  '',
  '\0',
  '\ud800',
  '😀'.repeat(201),
  'x'.repeat(11_000),
  [],
  [[[[]]]],
  {},
  JSON.parse('{"__proto__":{"title":"x"},"constructor":{"prototype":1}}'),
];
/** How long an answer may take; one that streams or waits by design is let go after the second. Milliseconds. */
const TIME_LIMIT = 15_000;
const LET_GO = 200;

/** Sends requests of every route, made from its schemas and then changed: path, query, headers, body, or the bytes of it all. */
export function fuzzRequests(campaign: Campaign, count: number, token: () => string): Promise<number> {
  const { random, urls, note, violate, over } = campaign;
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  const ended = inTurns(count, over, async (at) => {
    const own = random.fork();
    const made = makeRequest(own, token());
    const text = `request ${at}: ${JSON.stringify(made).slice(0, 1500)}`;
    note(text);
    const url = urls[at % urls.length] ?? '';
    const answer = own.chance(0.3) ? await sendBytes(url, made, own) : await sendWhole(url, made, agent);
    if (answer === undefined) violate(`no answer within ${TIME_LIMIT} ms`, text);
    else if (answer.status >= 500) violate(`answered with ${answer.status} ${answer.body}`, text);
    return 1;
  });
  return ended.finally(() => agent.destroy());
}

interface Made {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  waits: boolean;
}

/** Status 0: the connection ended without one, as it may where the bytes are no HTTP or we let go. */
interface Answered {
  status: number;
  /** Its beginning, of a failure. */
  body: string;
}
const LET_GO_OF: Answered = { status: 0, body: '' };

function makeRequest(own: Random, token: string): Made {
  // Leaving would only take away the token that the others come with.
  const route = own.pick(routes.filter(({ path }) => !path.startsWith('/logout')));
  const waits = route.path.startsWith('/events');
  const params = route.path.replaceAll(/:\w+/g, () =>
    own.chance(0.7)
      ? String(1 + own.below(50))
      : encoded(own.pick(['0', '-1', '%', 'x', '9'.repeat(30), '\0'])),
  );
  const query = Object.entries(propertiesOf(route.query)).flatMap(([name, schema]) =>
    own.chance(0.4) ? [`${name}=${encoded(String(valueOf(schema, own)))}`] : [],
  );
  const path = params + (query.length > 0 ? `?${query.join('&')}` : '');
  const body = route.body
    ? JSON.stringify(
        Object.fromEntries(
          Object.entries(propertiesOf(route.body)).flatMap(([name, schema]) =>
            own.chance(0.85) ? [[name, valueOf(schema, own)]] : [],
          ),
        ),
      )
    : '';
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (own.chance(0.9)) headers.authorization = `Bearer ${token}`;
  for (const name of ['if-match', 'idempotency-key', 'x-request-id', 'range', 'expect', 'accept-encoding'])
    if (own.chance(0.05)) headers[name] = own.pick(['"1"', '*', 'x', '"'.repeat(300), ',', '-1']);
  return {
    method: own.chance(0.95)
      ? route.method.toUpperCase()
      : own.pick(['PUT', 'DELETE', 'TRACE', 'OPTIONS', 'HEAD']),
    path: own.chance(0.8) ? path : printable(mutateBytes(Buffer.from(path), own)),
    headers,
    body: own.chance(0.6) ? body : mutateBytes(Buffer.from(body), own).toString(),
    waits,
  };
}

function propertiesOf(schema: (typeof routes)[number]['body']): Record<string, JsonSchema> {
  const json: JsonSchema | undefined = schema?.['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
  return json?.properties ?? {};
}

/** A value that the schema lets through, mostly. */
function valueOf(schema: JsonSchema, own: Random): unknown {
  if (own.chance(0.15)) return own.pick(odd);
  if (schema.enum) return own.pick(schema.enum);
  switch (schema.type) {
    case 'integer':
    case 'number':
      return own.pick([0, 1, 2, 10, 100, own.below(1000)]);
    case 'boolean':
      return own.chance(0.5);
    case 'array':
      return Array.from({ length: own.below(5) }, () => own.below(50));
    default: {
      const least = typeof schema.minLength === 'number' ? schema.minLength : 1;
      const length = least + own.below(20);
      return Array.from({ length }, () => String.fromCodePoint(1 + own.below(own.pick([127, 0xd7ff])))).join(
        '',
      );
    }
  }
}

function encoded(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80';
}

/** What Node's client lets through as a path. */
function printable(bytes: Buffer): string {
  return `/${bytes
    .toString('latin1')
    .replaceAll(/[^\x21-\x7e]/g, '%')
    .slice(1)}`;
}

/** @returns undefined if nothing came in time */
function sendWhole(
  url: string,
  { method, path, headers, body, waits }: Made,
  agent: Agent,
): Promise<Answered | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const req = request(
      { hostname, port, method, path, agent, headers: { ...headers, ...length } },
      (res) => {
        clearTimeout(timer);
        if (waits) setTimeout(() => req.destroy(), LET_GO);
        const status = res.statusCode ?? 0;
        let text = '';
        res.on('data', (chunk: Buffer) => {
          if (status >= 500) text = (text + chunk.toString()).slice(0, 500);
        });
        res.on('close', () => resolve({ status, body: text }));
      },
    );
    const timer = setTimeout(
      () => {
        resolve(waits ? LET_GO_OF : undefined);
        req.destroy();
      },
      waits ? LET_GO : TIME_LIMIT,
    );
    req.on('error', () => {
      clearTimeout(timer);
      resolve(LET_GO_OF);
    });
    req.end(body);
  });
}

/** The request as bytes, of which some are changed: it may be cut off, so silence is no fault. */
function sendBytes(url: string, { method, path, headers, body }: Made, own: Random): Promise<Answered> {
  const { hostname, port } = new URL(url);
  const fields = Object.entries({
    host: 'localhost',
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
  });
  const text = `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
  return new Promise((resolve) => {
    const tcp = connect(Number(port), hostname, () => tcp.end(mutateBytes(Buffer.from(text), own)));
    let said = '';
    const timer = setTimeout(() => tcp.destroy(), LET_GO);
    tcp.on('data', (chunk) => (said += chunk.toString('latin1')));
    tcp.on('error', () => undefined); // a close follows
    tcp.on('close', () => {
      clearTimeout(timer);
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1] ?? 0);
      resolve({ status, body: said.slice(0, 1000) });
    });
  });
}
