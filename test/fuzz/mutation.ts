import type { Random } from '../faults/random.ts';

const SYNTAX = '0123456789[]{}",-/\\:eE+.%&=?\r\n\0 ';

/** Bytes with up to three of them changed, put in, taken out or doubled. */
export function mutateBytes(given: Uint8Array, random: Random): Buffer {
  const bytes = [...given];
  for (let left = random.below(4); left > 0; left -= 1) {
    const at = random.below(bytes.length + 1);
    const kind = random.next();
    if (kind < 0.3) bytes.splice(at, 1, random.below(256));
    else if (kind < 0.6) bytes.splice(at, 0, SYNTAX.charCodeAt(random.below(SYNTAX.length)));
    else if (kind < 0.8) bytes.splice(at, 1 + random.below(5));
    else bytes.splice(at, 0, ...bytes.slice(at, at + 50));
  }
  return Buffer.from(bytes);
}

/** A frame that was changed a little; mostly it stays text if it was. */
export function mutateFrame(frame: string | Buffer, random: Random): string | Buffer {
  const changed = mutateBytes(Buffer.from(frame), random);
  return typeof frame === 'string' && random.chance(0.9) ? changed.toString() : changed;
}
