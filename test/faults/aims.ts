import type { ClusterNode } from './cluster.ts';
import type { Verdict } from '../support/tcp-proxy.ts';

/** Moments of a write's road at which a node can be killed from outside, by what its proxies carry. */
export type Moment = 'before-commit' | 'after-commit' | 'after-numbering' | 'before-emitting';

/**
 * Does something at a moment of a node's next write, while somebody writes.
 *
 * - `before-commit`: its COMMIT is on the way and does not arrive.
 * - `after-commit`: the server has committed; its answer does not arrive, so the writer gets none.
 * - `after-numbering`: events have their numbers; the node does not learn it, and publishes nothing.
 * - `before-emitting`: another node has published a batch; this one has it in hand.
 * @param within milliseconds
 * @param act what is done, synchronously, and what becomes of the piece that the moment was known by
 * @returns when it was, in milliseconds since 1970; undefined if the moment did not come within the time
 */
export async function atMoment(
  node: ClusterNode,
  moment: Moment,
  within: number,
  act: () => Verdict,
): Promise<number | undefined> {
  const proxy = moment === 'before-emitting' ? node.toRedis : node.toPostgres;
  const asked = new WeakSet();
  const cameAt = await new Promise<number | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), within);
    const now = (): Verdict => {
      clearTimeout(timer);
      proxy.tap = undefined;
      resolve(Date.now());
      return act();
    };
    proxy.tap = (piece, direction, connection): Verdict => {
      if (direction === 'toServer') {
        if (moment === 'before-commit' && piece.includes('COMMIT')) return now();
        if (moment === 'after-commit' && piece.includes('COMMIT')) asked.add(connection);
        if (moment === 'after-numbering' && piece.includes('number-events')) asked.add(connection);
      } else {
        if (moment === 'before-emitting' && piece.includes('"events"')) return now();
        if (moment === 'after-commit' && asked.has(connection) && piece.includes('COMMIT\0')) return now();
        if (moment === 'after-numbering' && asked.has(connection)) {
          if (hasNumbers(piece)) return now();
          asked.delete(connection);
        }
      }
      return piece;
    };
  });
  proxy.tap = undefined;
  return cameAt;
}

/** Kills a node with -9 at a moment. @returns when; see `atMoment` */
export async function killAt(node: ClusterNode, moment: Moment, within: number): Promise<number | undefined> {
  let gone: Promise<void> | undefined;
  const cameAt = await atMoment(node, moment, within, () => {
    gone = node.process.kill();
    return 'cut';
  });
  await gone;
  return cameAt;
}

/** Whether an answer of PostgreSQL (protocol 3) holds a row whose first column is not null: that of `number_events`. */
function hasNumbers(answer: Buffer): boolean {
  for (let at = 0; at + 5 <= answer.length;) {
    const length = answer.readInt32BE(at + 1);
    if (answer[at] === DATA_ROW && at + 11 <= answer.length) return answer.readInt32BE(at + 7) !== -1;
    if (length < 4) return false;
    at += 1 + length;
  }
  return false;
}

const DATA_ROW = 'D'.charCodeAt(0);
