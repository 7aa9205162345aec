import { AppError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Message } from './sender.ts';

/** An event that somebody may hear, as REST tells it. */
interface HeardEvent {
  seq: number;
  prev: number;
  name: string;
  at: string;
  data: unknown;
}

/**
 * The event after a position that a socket of the user would hear; without one where the log stands for the user.
 * Undefined if the signal ended it.
 * @throws {AppError} 410 with `reason`, `epoch` and `head`; 401, 503
 */
export type NextEvents = (
  user: Identity,
  query: { after: number; epoch: string; limit: number; wait: number; topics?: readonly string[] },
  signal: AbortSignal,
) => Promise<{ epoch: string; head: number; events: HeardEvent[] } | undefined>;

/** Where a webhook stands, and what it is for. */
export interface Place {
  user_id: number;
  topics: string[] | null;
  epoch: string;
  position: number;
}

/** A message, and the position of the webhook once it is delivered. */
export interface NextMessage extends Message {
  epoch: string;
  position: number;
}

/** Up to where there is nothing for a webhook. */
interface Nothing {
  body?: never;
  position: number;
}

/** The log does not reach back to where a webhook stands, and where it goes on. */
export interface Gone {
  body?: never;
  reason: string;
  epoch: string;
  head: number;
}

export type Next = NextMessage | Nothing | Gone | undefined;

/**
 * What follows the position of a webhook: a message, how far there is none, or that the log does not reach back so far.
 * @param id of the webhook
 * @param wait for an event. Seconds
 * @returns undefined if the signal ended it
 */
export async function nextMessage(
  nextEvents: NextEvents,
  id: string,
  { user_id, topics, epoch, position }: Place,
  wait: number,
  signal: AbortSignal,
): Promise<Next> {
  const user = { id: user_id, sessionId: id, expiresAt: Infinity };
  const query = { after: position, epoch, limit: 1, wait, ...(topics && { topics }) };
  try {
    const page = await nextEvents(user, query, signal);
    if (!page) return undefined;
    const [event] = page.events;
    if (!event) return { position: page.head };
    const { seq, prev, name, at, data } = event;
    return {
      id: `${page.epoch}:${seq}`,
      body: JSON.stringify({ type: name, timestamp: at, data, epoch: page.epoch, seq, prev }),
      epoch: page.epoch,
      position: seq,
    };
  } catch (error) {
    if (error instanceof AppError && error.code === 'gone') return error.toProblem() as unknown as Gone;
    throw error;
  }
}

/** The message that tells a webhook that it goes on elsewhere, where it stands already. */
export function resetMessage({ epoch, position }: Place, reason: string): NextMessage {
  const reset = { type: 'reset', timestamp: new Date().toISOString(), data: { reason } };
  return {
    id: `${epoch}:${position}:reset`,
    body: JSON.stringify({ ...reset, epoch, seq: position }),
    epoch,
    position,
  };
}
