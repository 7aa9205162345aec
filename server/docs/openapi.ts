import {
  type Answer,
  otherProblem,
  problemAnswer,
  problemAnswerName,
  problemAnswers,
} from './problem-answers.ts';
import { type JsonSchema, SchemaLibrary } from '../api/json-schema.ts';
import { problem } from '../api/problem.ts';
import { consumedBy, type Route } from '../api/route.ts';
import { webhookMessage } from '../api/webhook-message.ts';
import { serviceOperations } from './service-operations.ts';

interface Reference {
  $ref: string;
}

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  description?: string;
  schema: JsonSchema;
  example?: unknown;
}

export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { required: boolean; content: Record<string, { schema: JsonSchema; example?: unknown }> };
  responses: Record<string, Answer | Reference>;
}

export interface OpenApiDocument {
  openapi: '3.1.0';
  info: Record<string, unknown>;
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, { post: object }>;
  components: {
    schemas: Record<string, JsonSchema>;
    responses: Record<string, Answer>;
    securitySchemes: Record<string, unknown>;
  };
}

const about = `A self-hosted realtime social backend: accounts, posts and votes over REST, and everything that happens live
over Socket.IO (see [the Socket.IO interface](/asyncapi)) or Server-Sent Events.

**To begin:** sign up with \`POST /users\`, log in with \`POST /login\`, and send the \`access_token\` with each request as
\`Authorization: Bearer …\`. On the page at [/docs](/docs) press *Authorize* and give your e-mail address as \`username\`.

**To follow the feed:** read \`GET /posts\` once, then connect with its \`X-Feed-Seq\` as \`after\` and its \`X-Feed-Epoch\` as
\`epoch\`. All later events then arrive in order, exactly once, without a gap.

**Errors** are \`application/problem+json\` (RFC 9457) with a \`type\`, a sentence in \`detail\` and, on a 422, all invalid fields
at once. Checks run in this order: 401, 429, 403 for an API key that may
not do it, 422, 412 of a route that has no preconditions, 403 for a missing role or verified address, 404, 403, 409, 412. An unknown
field or query parameter is a 422, as are a parameter that is given twice and a body where none is taken; a method that a path
does not have is a 405. Each response has an \`X-Request-Id\`; send your own to find the request in the log.

**Rate limits:** each response says what is left in \`RateLimit\` and the rule in \`RateLimit-Policy\`. After a 503 it is unknown
whether a write was done: retry after \`Retry-After\`, a \`POST /posts\` with the same \`Idempotency-Key\`.

**Times** are RFC 3339 in UTC, ids are integers, fields are \`snake_case\`.`;

const tags = [
  { name: 'Users', description: 'Accounts and public profiles' },
  { name: 'Relations', description: 'Follow, block and mute users' },
  { name: 'Sessions', description: 'Log in, refresh tokens, log out' },
  { name: 'API keys', description: 'For programs that act for a user' },
  { name: 'Posts', description: 'Write, read and search posts' },
  { name: 'Votes', description: "One user's like on one post" },
  { name: 'Notifications', description: 'What others did that concerns you' },
  { name: 'Moderation', description: 'What moderators do to what users write, and to users' },
  { name: 'Webhooks', description: 'Events that are posted to your server' },
  { name: 'Events', description: 'All events in order, without Socket.IO' },
  { name: 'Service', description: 'Health checks, metrics and these documents' },
];

export interface OpenApiOptions {
  version: string;
  /** Where clients reach the service: its origin, without a slash at the end. */
  server: string;
  /** The numbering in force: the only one that `epoch` may name. Without it `epoch` has no example. */
  epoch?: string;
  /** Whether requests without an access token may read; not unless said so. */
  publicRead?: boolean;
}

/**
 * The OpenAPI document, read off the routes that are mounted and their Joi schemas. What the service answers beside
 * them (health, documents) is told by hand in service-operations.ts.
 */
export function openApiDocument(
  routes: readonly Route[],
  { version, server, epoch, publicRead = false }: OpenApiOptions,
): OpenApiDocument {
  const library = new SchemaLibrary('#/components/schemas/');
  const problemSchema = library.schema(problem, 'output');
  const paths: OpenApiDocument['paths'] = {};
  const refusals = new Set<number>();
  const add = (path: string, method: string, operation: Operation, statuses: Iterable<number>) => {
    for (const status of statuses) {
      if (operation.responses[status]) continue;
      refusals.add(status);
      operation.responses[status] = { $ref: `#/components/responses/${problemAnswerName(status)}` };
    }
    operation.responses.default = { $ref: `#/components/responses/${otherProblem}` };
    (paths[openApiPath(path)] ??= {})[method] = operation;
  };
  for (const route of routes) {
    add(route.path, route.method, operation(route, library, { epoch, publicRead }), refusalsOf(route));
  }
  for (const { path, summary, description, answer, notReady, refusals: statuses } of serviceOperations) {
    const told = {
      operationId: operationId('get', path),
      summary,
      description,
      tags: ['Service'],
      security: [],
      responses: {
        200: answer,
        ...(notReady
          ? { 503: problemAnswer(503, { allOf: [problemSchema, notReady.schema] }, notReady.example) }
          : {}),
      },
    };
    // An address and headers that are too long are refused before anyone looks whose they are.
    add(path, 'get', told, [431, ...(statuses ?? [])]);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tidings',
      version,
      summary: 'A realtime social backend whose live feed is as trustworthy as its database',
      description: about,
      contact: { name: 'The operator of this service', url: server },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: server }],
    tags,
    paths,
    webhooks: {
      message: {
        post: {
          operationId: 'postWebhookMessage',
          summary: 'An event, posted to a webhook of yours',
          description:
            'Signed by the Standard Webhooks specification: `webhook-id`, `webhook-timestamp`, `webhook-signature`. See `POST /users/me/webhooks`.',
          tags: ['Webhooks'],
          security: [],
          requestBody: {
            required: true,
            content: { 'application/json': { schema: library.schema(webhookMessage, 'output') } },
          },
          responses: { '2XX': { description: 'You have taken it. Anything else is tried again.' } },
        },
      },
    },
    components: {
      schemas: library.schemas,
      responses: problemAnswers([...refusals].sort(), problemSchema),
      securitySchemes: {
        // The first is what a page shows first: a form to log in with.
        password: {
          type: 'oauth2',
          description: 'Logs you in. `username` is your e-mail address; there is no client id or secret.',
          flows: { password: { tokenUrl: '/login', scopes: {} } },
        },
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An `access_token` from `POST /login`',
        },
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A `key` from `POST /users/me/keys`, with the scope that the description of the operation names',
        },
      },
    },
  };
}

/** `/posts/:id` as OpenAPI writes it. */
export function openApiPath(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

/** `get /posts/:id/vote` → `getPostsByIdVote`. */
function operationId(method: string, path: string): string {
  const words = path.split(/[/.]/).filter((word) => word !== '');
  const named = words.map((word) => (word.startsWith(':') ? `By${capital(word.slice(1))}` : capital(word)));
  return method + (named.join('') || 'Home');
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** What an operation does, and what is the same for all that need it. */
function describe({ needsVerifiedEmail, scope }: Route, description: string): string {
  const told = scope === undefined ? description : `${description} An API key needs the scope \`${scope}\`.`;
  if (!needsVerifiedEmail) return told;
  return `${told} Where the operator asks for it (\`VERIFY_EMAIL\`), a user whose e-mail address is not verified gets a 403 with \`type\` \`email_unverified\`.`;
}

function operation(
  route: Route,
  library: SchemaLibrary,
  { epoch, publicRead }: { epoch: string | undefined; publicRead: boolean },
): Operation {
  const parameters = parametersOf(route, library, epoch);
  return {
    operationId: operationId(route.method, route.path),
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: describe(route, route.description) }),
    tags: [route.tag],
    // Any of them will do: all end in the same header.
    security: {
      anyone: [],
      optional: [{}, ...securityOf(route)],
      reader: publicRead ? [{}, ...securityOf(route)] : securityOf(route),
      user: securityOf(route),
    }[route.access],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body ? { requestBody: requestBody(route, route.body, library) } : {}),
    responses: answersOf(route, library),
  };
}

/** The description says which scope a key needs: OpenAPI has a place for it, but linters take it for a fault. */
function securityOf({ scope }: Route): Record<string, string[]>[] {
  return [{ bearer: [] }, { password: [] }, ...(scope === undefined ? [] : [{ apiKey: [] }])];
}

function parametersOf(route: Route, library: SchemaLibrary, epoch: string | undefined): Parameter[] {
  const of = (place: 'path' | 'query', schema: Route['params']) =>
    schema
      ? library
          .properties(schema, 'input')
          .map(({ name, required, schema: given }) => parameter(name, place, required, given))
      : [];
  const headers = Object.entries(route.headers ?? {}).map(([name, { description, schema }]) =>
    parameter(name, 'header', false, { ...library.schema(schema, 'input'), description }),
  );
  const query = of('query', route.query).map((given) =>
    given.name === 'epoch' && epoch !== undefined
      ? { ...given, schema: { ...given.schema, examples: [epoch] } }
      : given,
  );
  return [...of('path', route.params), ...query, ...headers];
}

/**
 * Pages send a parameter's `example` unless it is emptied, so only what must be given has one: a key that is always the same
 * would be refused the second time. The others have theirs in the schema, which is shown and not sent.
 */
function parameter(
  name: string,
  place: Parameter['in'],
  required: boolean,
  { description, examples, ...schema }: JsonSchema,
): Parameter {
  return {
    name,
    in: place,
    required,
    ...(description === undefined ? {} : { description }),
    schema: required || examples === undefined ? schema : { ...schema, examples },
    ...(required && examples !== undefined ? { example: examples[0] } : {}),
  };
}

function requestBody(
  route: Route,
  body: NonNullable<Route['body']>,
  library: SchemaLibrary,
): NonNullable<Operation['requestBody']> {
  const types = consumedBy(route);
  const content = types.map((type) => {
    const given = type === 'application/x-www-form-urlencoded' && route.form ? route.form : body;
    const schema = library.schema(given, 'input');
    const named = library.named(schema);
    sayDefaults(named);
    return [type, { schema, ...(named.examples ? { example: named.examples[0] } : {}) }] as const;
  });
  return { required: true, content: Object.fromEntries(content) };
}

/** Tells the defaults of a body in words: makers of types take a field with a `default` for one that must be sent. */
function sayDefaults(schema: JsonSchema): void {
  for (const property of Object.values(schema.properties ?? {})) {
    if (!('default' in property)) continue;
    const { default: value } = property;
    property.description = `${property.description ?? ''}. Left out: \`${JSON.stringify(value)}\``;
    delete property.default;
  }
}

/** What a route answers of its own: its successes, and problems that tell more than the usual. */
function answersOf(route: Route, library: SchemaLibrary): Record<string, Answer> {
  const headers = Object.entries(route.answerHeaders ?? {}).map(
    ([name, description]) => [name, { description, schema: { type: 'string' } }] as const,
  );
  const successes = Object.entries(route.answers).filter(([status]) => Number(status) < 400);
  const refusals = Object.entries(route.answers).flatMap(([status, answer]) =>
    Number(status) < 400 || typeof answer === 'string' || answer === problem
      ? []
      : [[status, problemAnswer(Number(status), library.schema(answer, 'output'))] as const],
  );
  return Object.fromEntries<Answer>([
    ...successes.map<[string, Answer]>(([status, answer]) => [
      status,
      {
        description: typeof answer === 'string' ? answer : 'Done.',
        ...(headers.length > 0 ? { headers: Object.fromEntries(headers) } : {}),
        ...contentOf(route, answer, library),
      },
    ]),
    ...refusals,
  ]);
}

function contentOf(route: Route, answer: Route['answers'][number], library: SchemaLibrary) {
  if (typeof answer !== 'string')
    return { content: { 'application/json': { schema: library.schema(answer, 'output') } } };
  return route.produces === undefined
    ? {}
    : { content: { [route.produces]: { schema: { type: 'string' } } } };
}

/** What a route may answer instead: what it says itself, and what all its routes have in common. */
function refusalsOf(route: Route): number[] {
  const statuses = new Set(
    Object.keys(route.answers)
      .map(Number)
      .filter((status) => status >= 400),
  );
  if (route.access !== 'anyone') statuses.add(401);
  if (!route.anyQuery) statuses.add(422);
  if (route.params) statuses.add(400);
  if (route.body) for (const status of [400, 408, 413, 415]) statuses.add(status);
  // Any may come with a precondition that it has nothing to hold against.
  statuses.add(412).add(429).add(431).add(503);
  return [...statuses].sort();
}
