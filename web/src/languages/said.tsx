import type { ComponentChildren } from 'preact';
import type { Key } from './messages.ts';
import { partsOf, type Values } from './say.ts';

type SaidProps<K extends Key> = { of: K } & Values<K, ComponentChildren>;

/** A message with elements in it, such as links: `<Said of="…" name={<bdi>ada</bdi>} />`. */
export function Said<K extends Key>({ of, ...values }: SaidProps<K>) {
  return <>{partsOf<ComponentChildren>(of, values as Record<string, ComponentChildren>)}</>;
}
