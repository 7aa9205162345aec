import type Joi from 'joi';
import { type JsonSchema, SchemaLibrary } from '../api/json-schema.ts';
import type { DeclaredEvent } from '../topics/event-type.ts';
import {
  acknowledgement,
  clientMessages,
  connectError,
  eventMessage,
  type FeedSchemas,
  serverMessages,
} from '../transports/socketio/message-schemas.ts';
import { requests } from '../transports/socketio/requests.ts';
import { handshakeAuth } from '../transports/socketio/schemas.ts';

/** A message of the server, whatever its arguments. */
interface ToldMessage {
  summary: string;
  description?: string;
  args: readonly Joi.AnySchema[];
}

interface Reference {
  $ref: string;
}

interface Message {
  /** The event's name on the wire. */
  name: string;
  title: string;
  summary?: string;
  description?: string;
  payload: JsonSchema;
}

interface Operation {
  /** As seen by the service: what it sends, and what it receives. */
  action: 'send' | 'receive';
  channel: Reference;
  title: string;
  summary?: string;
  description?: string;
  messages: Reference[];
  reply?: { channel: Reference; messages: Reference[] };
}

export interface AsyncApiDocument {
  asyncapi: '3.0.0';
  info: Record<string, unknown>;
  defaultContentType: 'application/json';
  servers: Record<string, unknown>;
  channels: Record<string, Record<string, unknown> & { messages: Record<string, Reference> }>;
  operations: Record<string, Operation>;
  components: {
    schemas: Record<string, JsonSchema>;
    messages: Record<string, Message>;
    securitySchemes: Record<string, unknown>;
  };
}

const aboutOf = (
  events: readonly DeclaredEvent[],
) => `The Socket.IO interface of Tidings: what happens to posts and votes, live, over
[Socket.IO](https://socket.io/docs/v4/) (protocol 5; WebSocket first, long-polling as the fallback). Writes go through
[REST](/docs) alone.

\`\`\`js
const socket = io('http://localhost:3000', { auth: { token } });
socket.on('${events[0]?.name ?? 'feed:head'}', (data, { seq }) => console.log(seq, data));
\`\`\`

**The payload** of each message is the list of its arguments. An event of the log has two: its data and its position. A request has
one argument and is answered by an acknowledgement with one: \`{ok: true, data}\` or \`{ok: false, error}\`, where the error is the
same problem object as in REST.

**In order, once, without a gap.** These events are numbered 1, 2, 3 …, the same for every client on every node:
${events.map(({ name }) => `\`${name}\``).join(', ')}. Reconnect with the last \`seq\` that you have received as \`after\` and the \`epoch\` of
\`ready\`: the missed events come before \`ready\`, or its outcome is \`reset\` if they cannot be sent. Events are never left out silently.

**The chain.** Events and \`feed:head\` carry \`{seq, prev}\`: between \`prev\` and \`seq\` there is nothing for you. At position p, apply a
message with \`prev ≤ p < seq\` and make \`seq\` your position; ignore one with \`seq ≤ p\`; if \`prev > p\`, a message is missing: reconnect
with p. A client that only remembers \`seq\` and sends it as \`after\` receives the whole feed, too.

**Redaction.** A post that is \`redacted\` was edited, renamed, withdrawn or deleted by an event that follows. Do not show it; insert
a new post when the event with its text comes.

**Tallies** (\`votes\`) are not numbered but absolute: of two tallies of one post, the one with the higher \`rev\` is newer.

**Limits.** A frame has at most 16 KiB. A connection may send 40 requests at once and 20 a second after that (a token bucket); further
requests get a 429, and a connection that goes on is closed (\`flooding\`). It tracks at most 5,000 posts, 500 more with one request;
beyond that \`track\` is a 422: untrack some first.
One user may have 2 % of a process's connections (of a small \`MAX_CONNECTIONS\` an eighth, up to 20) and one address the share
that the operator has set (\`ADDRESS_SHARE\`, by default 25 %), event streams and long-polls included: a handshake beyond that gets a 429 with \`retry_after\`, and the connection is closed. A user may
send 400 requests at once and 200 a second over all connections; each hundred posts count as one more request. A client that leaves
256 KiB unread, or 64 KiB for ten seconds, is closed (\`slow_consumer\`).

**Tokens.** \`session:expiring\` comes a minute before the token expires, or half-way to it if the token is shorter. A connection
whose token is not renewed (\`auth:renew\`) is closed within a second of its expiry (\`expired\`).`;

const CHANNEL = '#/channels/feed';

/**
 * The AsyncAPI document, computed from what the capabilities declare, the schemas that requests are checked with, and those of
 * REST.
 * @param events what may be in the log
 */
export function asyncApiDocument(
  events: readonly DeclaredEvent[],
  feed: FeedSchemas,
  version: string,
): AsyncApiDocument {
  const library = new SchemaLibrary('#/components/schemas/');
  const messages: Record<string, Message> = {};
  const operations: Record<string, Operation> = {};
  const say = (name: string, message: Message): Reference => {
    messages[name] = message;
    return { $ref: `${CHANNEL}/messages/${name}` };
  };
  const channel = { $ref: CHANNEL };

  const connect = say('connect', {
    name: 'connect',
    title: 'connect',
    description: "The option `auth` of a stock client: the payload of Socket.IO's CONNECT packet.",
    payload: library.schema(handshakeAuth, 'input'),
  });
  const refusal = say('connectError', {
    name: 'connect_error',
    title: 'connect_error',
    description:
      "The payload of Socket.IO's CONNECT_ERROR packet: an error with this `message` and `data` on the client's side. A stock client then stays away (`socket.active` is false) until `socket.connect()`: after a 401 with another token, after a 429, 500 or 503 when `retry_after` seconds have passed. Any other status stays as it is: what the handshake says has to change.",
    payload: library.schema(connectError, 'output'),
  });

  const { ready, ...others } = serverMessages(feed);
  const told: [name: string, message: ToldMessage][] = [
    ['ready', ready],
    ...events.map((event): [string, ToldMessage] => [event.name, eventMessage(event)]),
    ...Object.entries(others),
  ];
  for (const [name, { summary, description, args }] of told) {
    const key = camelCase(name);
    const texts = { summary, ...(description === undefined ? {} : { description }) };
    const payload = argumentList(args, (schema) => library.schema(schema, 'output'));
    operations[key] = {
      action: 'send',
      channel,
      title: name,
      ...texts,
      messages: [say(key, { name, title: name, summary, payload })],
    };
  }
  operations.connect = {
    action: 'receive',
    channel,
    title: 'connect',
    summary: 'The handshake',
    description: 'The response is the missed events and `ready`, or `connect_error`.',
    messages: [connect],
    reply: { channel, messages: [{ $ref: `${CHANNEL}/messages/ready` }, refusal] },
  };
  for (const [name, { summary, description, data }] of Object.entries(clientMessages(feed))) {
    const request = requests[name];
    if (!request) throw new Error(`The gateway has no request "${name}"`);
    const key = camelCase(name);
    const texts = { summary, ...(description === undefined ? {} : { description }) };
    operations[key] = {
      action: 'receive',
      channel,
      title: name,
      ...texts,
      messages: [
        say(key, {
          name,
          title: name,
          summary,
          payload: argumentList([request.schema], (schema) => library.schema(schema, 'input')),
        }),
      ],
      reply: {
        channel,
        messages: [
          say(`${key}Answer`, {
            name: `${name} (acknowledgement)`,
            title: `the response to ${name}`,
            payload: argumentList([acknowledgement(data)], (schema) => library.schema(schema, 'output')),
          }),
        ],
      },
    };
  }

  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Tidings, live',
      version,
      description: aboutOf(events),
      contact: { name: 'The operator of this service' },
      license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' },
      tags: [{ name: 'Feed', description: 'What happens to posts, votes and users, as it happens' }],
    },
    defaultContentType: 'application/json',
    servers: {
      node: {
        host: '{host}',
        pathname: '/socket.io/',
        protocol: 'ws',
        description:
          'Any node: each has the same feed. `wss` behind TLS. There is one namespace, `/`; a connection that requests it twice is closed.',
        variables: { host: { default: 'localhost:3000', description: 'The host of the service' } },
        security: [{ $ref: '#/components/securitySchemes/token' }],
      },
    },
    channels: {
      feed: {
        address: '/',
        title: 'The default namespace',
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
      },
    },
    operations,
    components: {
      schemas: library.schemas,
      messages,
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            "An `access_token` of `POST /login`, or an API key of `POST /users/me/keys`, as `token` in the handshake's `auth`; not a header",
        },
      },
    },
  };
}

/**
 * Arguments in order, as AsyncAPI's own dialect (JSON Schema draft 07) writes a tuple; where the last may be absent, either of
 * two tuples.
 */
function argumentList(
  args: readonly Joi.AnySchema[],
  told: (schema: Joi.AnySchema) => JsonSchema,
): JsonSchema {
  const tuple = (schemas: readonly Joi.AnySchema[]): JsonSchema => ({
    type: 'array',
    items: schemas.map(told),
    additionalItems: false,
    minItems: schemas.length,
    maxItems: schemas.length,
  });
  const required = args.filter((schema) => schema.$_getFlag('presence') !== 'optional');
  return required.length === args.length ? tuple(args) : { oneOf: [tuple(required), tuple(args)] };
}

/** `feed:head` → `feedHead`: keys of the document have no colons. */
function camelCase(name: string): string {
  return name.replaceAll(/[:_](\w)/g, (_, letter: string) => letter.toUpperCase());
}
