import type { Request, RequestHandler, Response } from 'express';
import type Joi from 'joi';
import type { Identity, Scope } from '../identity.ts';
import type { SchemaWatch } from '../database/schema-watch.ts';
import type { WriteMonitor } from '../database/write-monitor.ts';
import { AppError, invalid, refuseWhile } from '../errors.ts';
import type { PendingResponses } from '../http/pending-responses.ts';
import type { RequestGuard } from '../http/request-guard.ts';
import type { FieldError } from '../protocol.ts';
import type { RateLimit } from '../limits/rate-limits.ts';
import type { Requester } from '../queues/fair-queue.ts';
import { requesterOf } from './requester.ts';
import { isNotModified, refusePreconditions } from './preconditions.ts';
import { hasBody, isForm, refuseBody } from './body.ts';
import { requireScope } from './scope.ts';
import { check, givenOnce, givenTwice, type Infer, knownFields, object, withoutEmpty } from './schema.ts';

/**
 * A route is data: Express mounts it, the OpenAPI document is read off it, and the types of its handler follow from its
 * schemas.
 */

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

export type MediaType =
  'application/json' | 'application/merge-patch+json' | 'application/x-www-form-urlencoded';

/**
 * Who may call it. `user`: a valid access token. `anyone`: no token is looked at. `optional`: anyone, but a token must
 * be valid. `reader`: the same where the operator lets everyone read (`PUBLIC_READ`), elsewhere as `user`.
 */
export type Access = 'anyone' | 'optional' | 'reader' | 'user';

/** A body that has been encoded already; as bytes, if several answers share it. */
export class Json {
  readonly text: string | Buffer;

  constructor(text: string | Buffer) {
    this.text = text;
  }
}

/** What a handler gives back. A plain value is answered with the route's first status as JSON. */
export class Reply<T = unknown> {
  readonly body: T;
  readonly status: number | undefined;
  readonly headers: Record<string, string>;

  constructor(body: T, { status, headers = {} }: { status?: number; headers?: Record<string, string> } = {}) {
    this.body = body;
    this.status = status;
    this.headers = headers;
  }
}

type InferOr<S, Otherwise> = S extends Joi.AnySchema ? Infer<S> : Otherwise;

/** What the machine itself uses of whatever the routes are given. */
export interface RouteContext {
  guard: Pick<RequestGuard, 'originRefusal'>;
  schema: Pick<SchemaWatch, 'absence' | 'confirm' | 'failed'>;
  writes: Pick<WriteMonitor, 'failed' | 'refusal'>;
  pendingResponses: Pick<PendingResponses, 'given'>;
}

/** What a handler is given: everything in it but `ctx` has been validated. */
export interface Call<C, P, Q, B, A extends Access> {
  /** The parts of the service that the routes of its capability use. */
  ctx: C;
  /** Whose token it was. */
  user: A extends 'user' ? Identity : A extends 'optional' | 'reader' ? Identity | undefined : undefined;
  /** The sender for fair queues: for a database connection, for a password hash. */
  requester: Requester;
  params: P;
  query: Q;
  body: B;
  req: Request;
  res: Response;
}

export interface RouteSpec<
  C,
  P extends Joi.AnySchema | undefined,
  Q extends Joi.AnySchema | undefined,
  B extends Joi.AnySchema | undefined,
  A extends Access,
> {
  method: Method;
  /** Express's grammar: `/posts/:id`. */
  path: string;
  summary: string;
  description?: string;
  /** The group that the documents have it in, where it is not that of the routes around it. */
  tag?: string;
  /** `user` unless it is said. */
  access?: A;
  /** What an API key must be allowed to. Without it no key is let in. */
  scope?: Scope;
  /** A role that the user must have. It is asked for after the input, as everything that is looked up. */
  role?: 'moderator';
  /** Whether the user's e-mail address must be verified where the operator asks for it. Looked up as the role. */
  needsVerifiedEmail?: true;
  /**
   * What a request counts against: what reads, or what writes, unless it is said. `own`: the handler counts, by what it
   * finds.
   */
  limit?: RateLimit | 'own';
  params?: P;
  /** Without it there are no query parameters: any is a 422. */
  query?: Q;
  /** Whether query parameters may be anything: they are somebody else's, and are not looked at. */
  anyQuery?: true;
  body?: B;
  /** Media types that the body may have, where they are others than `consumedBy` says. */
  consumes?: readonly MediaType[];
  /** What the documents tell of a form in place of `body`, where it differs: another name for a field, another example. */
  form?: Joi.AnySchema;
  /** Request headers that mean something here, beside the usual. With `If-Match` among them the handler evaluates preconditions. */
  headers?: Record<string, { description: string; schema: Joi.AnySchema; emptyIsAbsent?: true }>;
  /** Status → schema of the answer, or a sentence where it has no body. The first is the success. */
  answers: Record<number, Joi.AnySchema | string>;
  /** Media type of a success that is told in a sentence and yet has a body. */
  produces?: 'text/event-stream' | 'application/x-ndjson';
  /** Response headers that mean something here. */
  answerHeaders?: Record<string, string>;
  handle: (call: Call<C, InferOr<P, undefined>, InferOr<Q, undefined>, InferOr<B, undefined>, A>) => unknown;
}

/** A route whose types have been checked and may be forgotten, but for what it uses. Of `Route<never>` nothing can be asked. */
export type Route<C = never> = RouteSpec<
  C,
  Joi.AnySchema | undefined,
  Joi.AnySchema | undefined,
  Joi.AnySchema | undefined,
  Access
> & { tag: string; access: Access; limit: RateLimit | 'own' };

/**
 * States routes that use a `C`, and infers each handler's types from the schemas.
 * @param tag the group that the documents have them in
 */
export function routesOf<C>(tag: string) {
  return <
    P extends Joi.AnySchema | undefined = undefined,
    Q extends Joi.AnySchema | undefined = undefined,
    B extends Joi.AnySchema | undefined = undefined,
    A extends Access = 'user',
  >(
    spec: RouteSpec<C, P, Q, B, A>,
  ): Route<C> => ({ tag, access: 'user', limit: spec.method === 'get' ? 'read' : 'write', ...spec });
}

/** The media types that the body of a route may have. */
export function consumedBy({ consumes, method }: Pick<Route, 'consumes' | 'method'>): readonly MediaType[] {
  return (
    consumes ??
    (method === 'patch' ? ['application/json', 'application/merge-patch+json'] : ['application/json'])
  );
}

/** The maximum number of errors in one response: enough for any input that a person has made. */
const MAX_FAULTS = 1000;

export interface Mounting<C> {
  ctx: C;
  /** Whether requests without an access token may read. */
  publicRead: boolean;
  /** Finds out who asks. @throws {AppError} 401 */
  authenticate: (req: Request) => Promise<Identity>;
  /** Makes sure that a user moderates. @throws {AppError} 403 */
  requireModerator: (user: Identity, requester: Requester) => Promise<void>;
  /** Makes sure that a user's e-mail address is verified, if that is asked for. @throws {AppError} 403 */
  requireVerified: (user: Identity, requester: Requester) => Promise<void>;
  /** Counts the request. @throws {AppError} 429 */
  limit: (name: RateLimit, req: Request, res: Response, user: Identity | undefined) => Promise<void>;
  /** Reads the body of a request whose caller has been admitted. */
  readBody: (consumes: readonly string[]) => RequestHandler;
}

/** A route with its checks. */
export interface RouteHandler {
  method: Method;
  path: string;
  handle: (req: Request, res: Response) => Promise<void>;
}

/**
 * Gives routes their checks, in the documented order: 403 for a cross-site request, 401, 429, 403 for
 * an API key that may not do it, 422, 412 for a precondition that the route does not have, 403 for a role or a verified address
 * that is missing, then those of the handler (404, 403, 409, 412). A body is not read before its sender is authenticated, and after one that came later its
 * sender is authenticated again.
 */
export function routeHandlers<C extends RouteContext>(
  routes: readonly Route<C>[],
  { ctx, publicRead, authenticate, requireModerator, requireVerified, limit, readBody }: Mounting<C>,
): RouteHandler[] {
  return routes.map((spec) => {
    const success = Number(Object.keys(spec.answers)[0]);
    const body = spec.body ? readBody(consumedBy(spec)) : refuseBody;
    const isForAll = spec.access === 'optional' || (spec.access === 'reader' && publicRead);
    const handle = async (req: Request, res: Response) => {
      // Errors, too. A route whose responses may be revalidated sets its own header.
      res.setHeader('Cache-Control', 'private, no-store');
      // What a cache keeps for those without a token is not for those with one.
      if (isForAll) res.vary('Authorization');
      // Before anything is counted: a page of another site could use up the rate limits of its visitors.
      const refusal = ctx.guard.originRefusal(req, { navigation: spec.method === 'get' });
      if (refusal) throw refusal;
      // What is read meanwhile may be empty, and what is written may collide with a backup.
      refuseWhile(ctx.schema.absence);
      const isOpen = spec.access === 'anyone' || (isForAll && req.headers.authorization === undefined);
      const user = isOpen ? undefined : await authenticate(req);
      if (spec.limit !== 'own') await limit(spec.limit, req, res, user);
      if (user) requireScope(user, spec.scope);
      if (spec.body || hasBody(req)) {
        const cameAtOnce = req.complete;
        await run(body, req, res);
        // A body may be held back for seconds, and the session may end meanwhile.
        if (user && !cameAtOnce) await authenticate(req);
      }
      const input = validate(spec, req);
      if (spec.headers?.['If-Match'] === undefined) refusePreconditions(req);
      // What is sent to a database that cannot commit stays there, waiting.
      if (spec.method !== 'get') refuseWhile(ctx.writes.refusal);
      const requester = requesterOf(req, res, user);
      const answer = await handled(ctx, async () => {
        if (spec.role && user) await requireModerator(user, requester);
        if (spec.needsVerifiedEmail && user) await requireVerified(user, requester);
        return spec.handle({ ...input, ctx, user, requester, req, res });
      });
      if (res.headersSent) return;
      const bytes = send(req, res, answer, success);
      ctx.pendingResponses.given(res, bytes, () => requester.senders);
    };
    return { method: spec.method, path: spec.path, handle };
  });
}

async function handled(ctx: RouteContext, work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    ctx.writes.failed(error);
    await ctx.schema.failed(error);
    // In an empty table nothing is found.
    if (error instanceof AppError && error.code === 'not_found') await ctx.schema.confirm();
    throw error;
  }
}

function run(middleware: RequestHandler, req: Request, res: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    void middleware(req, res, (error?: unknown) => {
      if (error === undefined) resolve();
      // Middleware passes errors; the router would do the same with anything else.
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      else reject(error);
    });
  });
}

/** Queries of one route that are remembered, and the length of what is worth it. */
const MAX_QUERIES = 500;
const MAX_QUERY_LENGTH = 200;

/**
 * Queries that were found good, by their text: a feed is asked for with the same few again and again, and what a text means
 * does not change. Frozen, since many requests share one.
 */
const goodQueries = new WeakMap<Joi.AnySchema, Map<string, unknown>>();

const noQuery = object({});

/** @returns what the query means, or its faults */
function readQuery(schema: Joi.AnySchema, req: Request): ReturnType<typeof check> {
  const at = req.url.indexOf('?');
  const text = at < 0 ? '' : req.url.slice(at);
  const known = goodQueries.get(schema) ?? new Map<string, unknown>();
  if (known.has(text)) return { value: known.get(text) };
  const result = checkFields(schema, 'query', req.query);
  if (result.errors || text.length > MAX_QUERY_LENGTH) return result;
  if (known.size >= MAX_QUERIES) known.clear();
  known.set(text, Object.freeze(result.value));
  goodQueries.set(schema, known);
  return result;
}

/**
 * A form is read as OAuth2 requires: unknown fields are ignored, empty ones count as absent. JSON is validated
 * strictly.
 */
function checkBody(schema: Joi.AnySchema, req: Request): ReturnType<typeof check> {
  const body: unknown = req.body;
  if (!isForm(req) || typeof body !== 'object' || body === null) return check(schema, 'body', body);
  return checkFields(schema, 'body', knownFields(schema, body as Record<string, unknown>));
}

/** A query or a form: each field comes once, and an empty one that is optional counts as absent. */
function checkFields(
  schema: Joi.AnySchema,
  place: 'query' | 'body',
  given: Record<string, unknown>,
): ReturnType<typeof check> {
  const { once, faults } = givenOnce(schema, place, given);
  const result = check(schema, place, withoutEmpty(schema, once));
  return faults.length > 0 ? { errors: [...faults, ...(result.errors ?? [])] } : result;
}

function validate(spec: Route, req: Request): { params: unknown; query: unknown; body: unknown } {
  const errors: FieldError[] = [];
  const read = (
    schema: Joi.AnySchema | undefined,
    look: (schema: Joi.AnySchema) => ReturnType<typeof check>,
  ): unknown => {
    if (!schema) return undefined;
    const result = look(schema);
    if (result.errors) errors.push(...result.errors);
    return result.value;
  };
  const input = {
    params: read(spec.params, (schema) => check(schema, 'path', req.params)),
    query: read(spec.anyQuery ? undefined : (spec.query ?? noQuery), (schema) => readQuery(schema, req)),
    body: read(spec.body, (schema) => checkBody(schema, req)),
  };
  for (const [name, header] of Object.entries(spec.headers ?? {})) {
    // Most requests have none of them, and `headersDistinct` is made of all that there are.
    if (req.headers[name.toLowerCase()] === undefined) continue;
    // Of some headers that come twice Node passes on the first alone.
    const values = req.headersDistinct[name.toLowerCase()] ?? [];
    const value = values.join(', ');
    if (value === '' && header.emptyIsAbsent) continue;
    const result = check(header.schema, 'header', value, name.toLowerCase());
    // Lists of tags may come in several.
    if (result.errors && values.length > 1) errors.push(givenTwice('header', name.toLowerCase()));
    else
      for (const fault of result.errors ?? []) errors.push({ ...fault, loc: ['header', name.toLowerCase()] });
  }
  if (errors.length > 0) throw invalid(errors, MAX_FAULTS);
  return input;
}

/** @returns the length of what was sent */
function send(req: Request, res: Response, answer: unknown, success: number): number {
  const reply = answer instanceof Reply ? answer : new Reply(answer);
  res.status(reply.status ?? success).set(reply.headers);
  if (reply.body === undefined) {
    res.end();
    return 0;
  }
  const text = reply.body instanceof Json ? reply.body.text : JSON.stringify(reply.body);
  const reads = req.method === 'GET' || req.method === 'HEAD';
  if (reads && res.statusCode === 200 && isNotModified(req, reply.headers.ETag)) {
    res.status(304).end();
    return 0;
  }
  const length = Buffer.byteLength(text);
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.setHeader('Content-Length', length);
  // As text it leaves in one piece with the head; Express would make a buffer of it first.
  if (req.method === 'HEAD') res.end();
  else res.end(text);
  return length;
}
