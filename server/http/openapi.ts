import { type Answer, problemAnswerName, problemAnswers } from './problem-answers.ts';
import { type JsonSchema, SchemaLibrary } from './json-schema.ts';
import { problem } from './problem.ts';
import type { Route } from './route.ts';
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
  requestBody?: { required: boolean; content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, Answer | Reference>;
}

export interface OpenApiDocument {
  openapi: '3.1.0';
  info: Record<string, unknown>;
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, JsonSchema>;
    responses: Record<string, Answer>;
    securitySchemes: Record<string, unknown>;
  };
}

const about = `A self-hosted realtime social backend: accounts, posts and votes over REST, and everything that happens live
over Socket.IO (see [the socket side](/asyncapi)) or Server-Sent Events.

**To begin:** sign up with \`POST /users\`, log in with \`POST /login\`, and send the \`access_token\` with each request as
\`Authorization: Bearer …\`. On the page at [/docs](/docs) press *Authorize* and give your e-mail address as \`username\`.

**To follow the feed:** read \`GET /posts\` once, then connect with its \`X-Feed-Seq\` as \`after\` and its \`X-Feed-Epoch\` as
\`epoch\`: what follows comes in order, once, without a hole.

**Errors** are \`application/problem+json\` (RFC 9457) with a \`type\`, a sentence and, on a 422, every fault of the input at
once. They are looked for in this order: 401, 429, 422, 404, 403, 409, 412. An unknown field is a fault. A method that an
address does not have is a 405. Each answer has an \`X-Request-Id\`; give one of your own to find it in the log.

**Limits:** each answer tells what is left in \`RateLimit\` and the rule in \`RateLimit-Policy\`. A 503 means that nothing is
known to be done: try again after \`Retry-After\`, a \`POST /posts\` with the same \`Idempotency-Key\`.

**Times** are RFC 3339 in UTC, ids are integers, fields are \`snake_case\`.`;

const tags = [
  { name: 'Users', description: 'Accounts and public profiles' },
  { name: 'Sessions', description: 'Logging in, staying logged in, logging out' },
  { name: 'Posts', description: 'Writing and reading' },
  { name: 'Votes', description: "One user's like on one post: there or not there" },
  { name: 'Events', description: 'Everything that happens, in order, without Socket.IO' },
  { name: 'Service', description: 'Its health, its numbers and these documents' },
];

/**
 * The OpenAPI document, read off the routes that are mounted and their Joi schemas. What the service answers beside
 * them (health, documents) is told by hand in service-operations.ts.
 */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const library = new SchemaLibrary('#/components/schemas/');
  const problemSchema = library.schema(problem, 'output');
  const paths: OpenApiDocument['paths'] = {};
  const refusals = new Set<number>();
  const add = (path: string, method: string, operation: Operation, statuses: Iterable<number>) => {
    for (const status of statuses) {
      refusals.add(status);
      operation.responses[status] = { $ref: `#/components/responses/${problemAnswerName(status)}` };
    }
    (paths[openApiPath(path)] ??= {})[method] = operation;
  };
  for (const route of routes) add(route.path, route.method, operation(route, library), refusalsOf(route));
  for (const { path, summary, description, answer, refusals: statuses = [] } of serviceOperations) {
    const told = {
      operationId: operationId('get', path),
      summary,
      ...(description === undefined ? {} : { description }),
      tags: ['Service'],
      responses: { 200: answer },
    };
    add(path, 'get', told, statuses);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tidings',
      version,
      summary: 'A realtime social backend whose live feed is as trustworthy as its database',
      description: about,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags,
    paths,
    components: {
      schemas: library.schemas,
      responses: problemAnswers([...refusals].sort(), problemSchema),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An `access_token` that you have from `POST /login`',
        },
        password: {
          type: 'oauth2',
          description: 'Logs you in. `username` is your e-mail address; there is no client id or secret.',
          flows: { password: { tokenUrl: '/login', scopes: {} } },
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

function operation(route: Route, library: SchemaLibrary): Operation {
  const parameters = parametersOf(route, library);
  return {
    operationId: operationId(route.method, route.path),
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    tags: [route.tag],
    // Either will do: both end in the same header.
    ...(route.access === 'user' ? { security: [{ bearer: [] }, { password: [] }] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body ? { requestBody: requestBody(route, library.schema(route.body, 'input')) } : {}),
    responses: successesOf(route, library),
  };
}

function parametersOf(route: Route, library: SchemaLibrary): Parameter[] {
  const of = (place: 'path' | 'query', schema: Route['params']) =>
    schema
      ? library
          .properties(schema, 'input')
          .map(({ name, required, schema: given }) => parameter(name, place, required, given))
      : [];
  const headers = Object.entries(route.headers ?? {}).map(([name, { description, schema }]) =>
    parameter(name, 'header', false, { ...library.schema(schema, 'input'), description }),
  );
  return [...of('path', route.params), ...of('query', route.query), ...headers];
}

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
    schema,
    ...(examples === undefined ? {} : { example: examples[0] }),
  };
}

function requestBody(route: Route, schema: JsonSchema): NonNullable<Operation['requestBody']> {
  const types = route.consumes ?? ['application/json'];
  return { required: true, content: Object.fromEntries(types.map((type) => [type, { schema }])) };
}

function successesOf(route: Route, library: SchemaLibrary): Record<string, Answer> {
  const headers = Object.entries(route.answerHeaders ?? {}).map(
    ([name, description]) => [name, { description, schema: { type: 'string' } }] as const,
  );
  const successes = Object.entries(route.answers).filter(([status]) => Number(status) < 400);
  return Object.fromEntries(
    successes.map(([status, answer]) => [
      status,
      {
        description: typeof answer === 'string' ? answer : 'Done.',
        ...(headers.length > 0 ? { headers: Object.fromEntries(headers) } : {}),
        ...contentOf(route, answer, library),
      },
    ]),
  );
}

function contentOf(route: Route, answer: Route['answers'][number], library: SchemaLibrary) {
  if (typeof answer !== 'string')
    return { content: { 'application/json': { schema: library.schema(answer, 'output') } } };
  return route.produces === undefined
    ? {}
    : { content: { [route.produces]: { schema: { type: 'string' } } } };
}

/** What a route may answer instead: what it says itself, and what each road to it has in common. */
function refusalsOf(route: Route): number[] {
  const statuses = new Set(
    Object.keys(route.answers)
      .map(Number)
      .filter((status) => status >= 400),
  );
  if (route.access === 'user') statuses.add(401);
  if (route.params ?? route.query ?? route.body) statuses.add(422);
  if (route.params) statuses.add(400);
  if (route.body) for (const status of [400, 408, 413, 415]) statuses.add(status);
  // Any may come with a precondition that it has nothing to hold against.
  statuses.add(412).add(429).add(431).add(503);
  return [...statuses].sort();
}
