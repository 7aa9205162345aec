import type { Answer } from './problem-answers.ts';
import type { JsonSchema } from '../api/json-schema.ts';

/** An address that is not a route of the API but belongs to the service: read with GET, by anyone. */
export interface ServiceOperation {
  path: string;
  summary: string;
  description: string;
  answer: Answer;
  /** What a 503 tells beside what each problem tells. */
  notReady?: { schema: JsonSchema; example: object };
  /** Statuses that it may answer with a problem. */
  refusals?: readonly number[];
}

function json(description: string, schema: JsonSchema): Answer {
  return { description, content: { 'application/json': { schema } } };
}

const page: Answer = {
  description: 'A page for a browser.',
  content: { 'text/html': { schema: { type: 'string' } } },
};

/** The parts that the node needs, by name, each with what it says of itself. */
const parts: JsonSchema = {
  type: 'object',
  additionalProperties: {
    type: 'object',
    properties: {
      status: { type: 'string', enum: ['ok', 'degraded', 'down'] },
      reason: { type: 'string', description: 'Why it is not ok.' },
    },
    required: ['status'],
  },
};

export const serviceOperations: readonly ServiceOperation[] = [
  {
    path: '/healthz',
    summary: 'Liveness check',
    description: 'The process is running. The database is not checked: a live node may be unable to serve.',
    answer: json('The process is running.', {
      type: 'object',
      properties: { status: { type: 'string', enum: ['ok'] } },
      required: ['status'],
    }),
  },
  {
    path: '/readyz',
    summary: 'Readiness check',
    description: 'For load balancers: the node can serve. `degraded`: everything works, but more slowly.',
    answer: json('The node is ready.', {
      type: 'object',
      properties: { status: { type: 'string', enum: ['ok', 'degraded'] }, parts },
      required: ['status', 'parts'],
    }),
    notReady: {
      schema: { type: 'object', properties: { parts }, required: ['parts'] },
      example: { parts: { database: { status: 'down', reason: 'It does not answer.' } } },
    },
  },
  {
    path: '/metrics',
    summary: 'Metrics for Prometheus',
    description: 'The sum over all workers of the node.',
    answer: {
      description: 'Metrics in the text format of Prometheus.',
      content: { 'text/plain': { schema: { type: 'string' } } },
    },
    refusals: [503],
  },
  {
    path: '/',
    summary: 'The live-feed page, or the name and version of the service',
    description:
      'The live-feed page for a browser; for a client that asks for JSON, the name, the version, who may sign up, whether mails are sent, and whether posts can be read without an account.',
    answer: {
      description: 'The service.',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            properties: {
              name: { type: 'string' },
              version: { type: 'string' },
              docs: { type: 'string', format: 'uri-reference' },
              sign_up: {
                type: 'string',
                enum: ['open', 'invite', 'closed'],
                description:
                  'Who may sign up: `open`, anyone; `invite`, those with an invitation; `closed`, nobody.',
              },
              sends_mail: {
                type: 'boolean',
                description:
                  'Whether the service sends mails: links that verify addresses, and to new passwords.',
              },
              public_read: {
                type: 'boolean',
                description: 'Whether posts, threads and searches can be read without an access token.',
              },
              oidc: {
                type: ['object', 'null'],
                properties: { name: { type: 'string' } },
                required: ['name'],
                description: 'The OpenID provider with which users can log in; `null`: none.',
              },
            },
            required: ['name', 'version', 'docs', 'sign_up', 'sends_mail', 'public_read', 'oidc'],
          },
        },
        'text/html': { schema: { type: 'string' } },
      },
    },
  },
  {
    path: '/robots.txt',
    summary: 'Where search engines may look',
    description: 'Nowhere, unless posts can be read without an account.',
    answer: { description: 'Rules for robots.', content: { 'text/plain': { schema: { type: 'string' } } } },
  },
  {
    path: '/openapi.json',
    summary: 'This document',
    description: 'Generated from the mounted routes.',
    answer: json('OpenAPI 3.1.', { type: 'object' }),
  },
  {
    path: '/asyncapi.json',
    summary: 'The AsyncAPI document of the Socket.IO interface',
    description: 'Events, commands and the handshake of Socket.IO.',
    answer: json('AsyncAPI 3.0.', { type: 'object' }),
  },
  {
    path: '/docs',
    summary: 'This document in Swagger UI, to try requests',
    description: 'Requests go to the server that the page came from.',
    answer: page,
  },
  {
    path: '/redoc',
    summary: 'This document in ReDoc, to read',
    description: 'It can be searched.',
    answer: page,
  },
  {
    path: '/asyncapi',
    summary: 'The AsyncAPI document as a page',
    description: 'With an example of each message.',
    answer: page,
  },
];
