import { expect } from 'chai';
import type { OpenApiDocument, Operation } from '../server/docs/openapi.ts';
import { execute } from './support/tables.ts';
import { createWorld, type World } from './support/world.ts';

interface Case {
  method: string;
  path: string;
  operation: Operation;
}

/**
 * What a constant cannot be: a refresh token that is in force, a password that deletes somebody's account, a session, a
 * post of somebody else.
 */
const refused: Record<string, number> = {
  'post /refresh': 401,
  'post /password/forgot': 403,
  'post /password/reset': 401,
  'post /email/verify/request': 403,
  'post /email/verify': 401,
  'post /email/undo': 401,
  'delete /users/me': 403,
  'post /users/me/totp': 403,
  'post /users/me/totp/confirm': 404,
  'delete /users/me/totp': 403,
  // No provider is configured.
  'post /login/oidc': 404,
  'get /login/oidc/callback': 404,
  'post /login/oidc/finish': 404,
  'post /users/me/identities/begin': 404,
  'post /users/me/identities': 404,
  'delete /users/me/identities/{id}': 403,
  'post /users/me/webhooks': 403,
  'get /users/me/webhooks/{id}': 404,
  'patch /users/me/webhooks/{id}': 404,
  'delete /users/me/webhooks/{id}': 404,
  'post /users/me/webhooks/{id}/secret': 404,
  'post /users/me/webhooks/{id}/ping': 404,
  'post /users/me/webhooks/{id}/replay': 404,
  'get /users/me/webhooks/{id}/failures': 404,
  'post /users/me/keys': 403,
  'delete /users/me/keys/{id}': 404,
  'delete /sessions/{id}': 404,
  'put /posts/{id}/report': 422,
};

/** What the others need first, and what takes something from them last. */
const first = ['post /users', 'post /login', 'post /posts', 'post /vote'];
const last = ['delete /posts/{id}/vote', 'delete /posts/{id}', 'post /logout', 'post /logout/all'];

describe('the examples of the OpenAPI document', () => {
  let world: World;
  let document: OpenApiDocument;

  before(async () => {
    world = await createWorld();
    document = (await world.anonymous.get<OpenApiDocument>('/openapi.json')).body;
  });
  after(() => world.close());

  it('do at their routes, on a fresh server, what the document promises', async () => {
    let token = '';
    let sent = 0;
    const parametersSent = new Set<string>();
    const faults: string[] = [];

    /** Sends the examples of an operation: those that it needs, and of the others these. */
    async function send({ method, path, operation }: Case, type: string | undefined, names: string[]) {
      let filled = path;
      const query = new URLSearchParams();
      const headers: Record<string, string> = {};
      if (operation.security?.length) headers.authorization = `Bearer ${token}`;
      for (const { name, in: place, required, example, schema } of operation.parameters ?? []) {
        if (!required && !names.includes(name)) continue;
        const value = String(required ? example : schema.examples?.[0]);
        parametersSent.add(`${method} ${path} ${name}`);
        if (place === 'path') filled = filled.replace(`{${name}}`, value);
        else if (place === 'query') query.set(name, value);
        else headers[name] = value;
      }
      let body: string | null = null;
      if (type !== undefined) {
        headers['content-type'] = type;
        const example = operation.requestBody?.content[type]?.example;
        const isForm = type === 'application/x-www-form-urlencoded';
        body = isForm
          ? new URLSearchParams(example as Record<string, string>).toString()
          : JSON.stringify(example);
      }
      const ended = new AbortController();
      const url = `${world.url}${filled}?${query.toString()}`;
      const response = await fetch(url, {
        method: method.toUpperCase(),
        headers,
        body,
        signal: ended.signal,
      });
      const what = `${method} ${path}`;
      const promised = [
        refused[what] ?? Math.min(...Object.keys(operation.responses).map(Number).filter(Number.isInteger)),
      ];
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
      const answer = isStream ? '' : await response.text();
      ended.abort();
      sent += 1;
      if (!promised.includes(response.status)) {
        faults.push(`${what} ${type ?? ''} [${names.join()}]: ${response.status} ${answer.slice(0, 300)}`);
      }
      if (path === '/login') token = (JSON.parse(answer) as { access_token: string }).access_token;
    }

    const login = { method: 'post', path: '/login', operation: operationOf('post', '/login') };
    for (const each of inOrder()) {
      const { method, path, operation } = each;
      const types = Object.keys(operation.requestBody?.content ?? { none: 0 });
      const optional = (operation.parameters ?? [])
        .filter(({ required }) => !required)
        .map(({ name }) => name);
      const takesAway = last.includes(`${method} ${path}`);
      const sets = takesAway ? [optional] : [[], ...optional.map((name) => [name]), optional];
      const once = optional.length === 0 ? [[]] : sets;
      for (const given of types) {
        for (const names of once) await send(each, operation.requestBody ? given : undefined, names);
      }
      if (path.startsWith('/logout')) await send(login, 'application/json', []);
      if (method === 'post' && path === '/users') {
        await execute(world, `update users set role = 'moderator'`);
        // Somebody to follow, and to act on.
        await world.user();
      }
    }

    expect(faults).to.deep.equal([]);
    const told = operations().flatMap(({ method, path, operation: { parameters = [] } }) =>
      parameters.map(({ name }) => `${method} ${path} ${name}`),
    );
    expect([...parametersSent]).to.have.members(told);
    expect(sent).to.be.greaterThan(50);
  });

  function operationOf(method: string, path: string): Operation {
    const operation = document.paths[path]?.[method];
    if (!operation) throw new Error(`${method} ${path} is not in the document`);
    return operation;
  }

  function operations(): Case[] {
    return Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
    );
  }

  function inOrder(): Case[] {
    const rank = ({ method, path }: Case) => {
      const what = `${method} ${path}`;
      if (first.includes(what)) return first.indexOf(what) - first.length;
      return last.indexOf(what) + 1;
    };
    return operations().sort((a, b) => rank(a) - rank(b));
  }
});
