import type { en } from './en.ts';

/** The name of a message. */
export type Key = keyof typeof en;

/** A message whose form depends on a number, by the rules of `Intl.PluralRules`. */
export type Plural = Readonly<Partial<Record<Intl.LDMLPluralRule, string>>> & { readonly other: string };

/** What a language file has: each message of `en.ts`. */
export type Messages = { readonly [K in Key]: (typeof en)[K] extends string ? string : Plural };

/** A message with nothing to be filled in. */
export type PlainKey = { [K in Key]: [Names<K>] extends [never] ? K : never }[Key];

type NamesIn<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

type TextOf<K extends Key> = (typeof en)[K] extends string
  ? (typeof en)[K]
  : (typeof en)[K][keyof (typeof en)[K]] & string;

/** What is to be filled in into a message. */
export type Names<K extends Key> = K extends Key
  ? NamesIn<TextOf<K>> | ((typeof en)[K] extends string ? never : 'count')
  : never;
