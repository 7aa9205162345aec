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
    summary: 'Whether the process lives',
    description: 'It asks nothing of the database: a node that cannot serve may live.',
    answer: json('It does.', {
      type: 'object',
      properties: { status: { type: 'string', enum: ['ok'] } },
      required: ['status'],
    }),
  },
  {
    path: '/readyz',
    summary: 'Whether the node can serve',
    description: 'What a load balancer asks. `degraded`: everything works, but slower.',
    answer: json('It can.', {
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
    summary: 'What Prometheus reads',
    description: 'Of all workers of the node together.',
    answer: {
      description: 'Metrics in the text format of Prometheus.',
      content: { 'text/plain': { schema: { type: 'string' } } },
    },
    refusals: [503],
  },
  {
    path: '/',
    summary: 'Who is here',
    description:
      'The live-feed page for a browser; for a client that asks for JSON, the name, the version and who may sign up.',
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
                description: 'Who may sign up: anyone, who has an invitation, or nobody.',
              },
            },
            required: ['name', 'version', 'docs', 'sign_up'],
          },
        },
        'text/html': { schema: { type: 'string' } },
      },
    },
  },
  {
    path: '/openapi.json',
    summary: 'This document',
    description: 'What it tells is what is mounted.',
    answer: json('OpenAPI 3.1.', { type: 'object' }),
  },
  {
    path: '/asyncapi.json',
    summary: 'The document of the socket side',
    description: 'Events, commands and the handshake of Socket.IO.',
    answer: json('AsyncAPI 3.0.', { type: 'object' }),
  },
  {
    path: '/docs',
    summary: 'This document to try out (Swagger UI)',
    description: 'It sends what you try to the node that you have it from.',
    answer: page,
  },
  { path: '/redoc', summary: 'This document to read (ReDoc)', description: 'With a search.', answer: page },
  {
    path: '/asyncapi',
    summary: 'The document of the socket side to read',
    description: 'With an example of each message.',
    answer: page,
  },
];
