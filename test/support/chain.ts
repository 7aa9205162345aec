import type { Position } from '../../server/contract.ts';
import { feedEventNames } from './feed-event-names.ts';
import type { TestSocket } from './world.ts';

const events: ReadonlySet<string> = new Set(feedEventNames);

/** What a socket was told: an event, or a beacon without a name. */
export interface Told extends Position {
  name: string | undefined;
  /** Of the post that it is about. */
  id: number | undefined;
}

/** Everything that a socket is told of the log from now on. */
export function listen(socket: TestSocket): Told[] {
  const told: Told[] = [];
  socket.onAny((name: string, ...args: unknown[]) => {
    if (name === 'feed:head') told.push({ ...(args[0] as Position), name: undefined, id: undefined });
    else if (events.has(name))
      told.push({ ...(args[1] as Position), name, id: (args[0] as { id?: number }).id });
  });
  return told;
}

/** The rule of the chain: where it was broken; undefined if it was not. */
export function chainFault(told: readonly Told[], from: number): string | undefined {
  let position = from;
  for (const { seq, prev, name } of told) {
    if (prev > position || (name !== undefined && seq <= position))
      return `at ${position} came ${name ?? 'feed:head'} {seq: ${seq}, prev: ${prev}}`;
    position = Math.max(position, seq);
  }
  return undefined;
}

/** How far what was told has moved the position. */
export function positionOf(told: readonly Told[], from: number): number {
  return Math.max(from, ...told.map(({ seq }) => seq));
}

export const eventsOf = (told: readonly Told[]) => told.filter(({ name }) => name !== undefined);
