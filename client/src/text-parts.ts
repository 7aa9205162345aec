import type { OwnerView } from './contract.ts';
import { placedNames } from './mentions.ts';
import { placedTags } from './tags.ts';
import { URL as REST_OF_URL } from './url.ts';

/** A part of a text to render: `text` is what stands there. Together the parts are the text. */
export type TextPart =
  | { kind: 'text'; text: string }
  /** `tag`: in its normal form, as `posts.list({ tag })` and the topic `tag:NAME` take it. */
  | { kind: 'tag'; text: string; tag: string }
  | { kind: 'mention'; text: string; user: OwnerView }
  /** A web address: `http` or `https`, never another scheme. */
  | { kind: 'link'; text: string; href: string };

type Found = Exclude<TextPart, { kind: 'text' }> & { start: number };

const LINK = new RegExp(`https?${REST_OF_URL}`, 'giu');
/** Signs that belong to the sentence around an address if they are at its end. */
const OF_SENTENCE = ".,:;!?'*_~";
/** Closing brackets, which belong to the sentence if the address has no opening one for them. */
const BRACKETS: Record<string, string> = { ')': '(', ']': '[' };

/** What a text refers to, as its post says. */
export interface TextReferences {
  tags?: readonly string[] | undefined;
  mentions?: readonly OwnerView[] | undefined;
}

/**
 * What to make links of in the title or the text of a post: its tags, the users whom it mentions, and web addresses.
 * The parts are plain text: show them as text, not as HTML.
 */
export function textParts(text: string, { tags = [], mentions = [] }: TextReferences): TextPart[] {
  const found = [...links(text), ...knownTags(text, tags), ...knownUsers(text, mentions)];
  found.sort((a, b) => a.start - b.start);
  const parts: TextPart[] = [];
  let end = 0;
  for (const { start, ...part } of found) {
    if (start < end) continue;
    if (start > end) parts.push({ kind: 'text', text: text.slice(end, start) });
    parts.push(part);
    end = start + part.text.length;
  }
  if (end < text.length) parts.push({ kind: 'text', text: text.slice(end) });
  return parts;
}

function* links(text: string): Generator<Found> {
  for (const { index, 0: whole } of text.matchAll(LINK)) {
    const address = withoutSentence(whole);
    const href = hrefOf(address);
    if (href !== undefined) yield { kind: 'link', start: index, text: address, href };
  }
}

/** A web address as a link has it; undefined if it is none. `URL.canParse` is younger than the oldest supported browsers. */
export function hrefOf(address: string): string | undefined {
  try {
    return new URL(address).href;
  } catch {
    return undefined;
  }
}

function* knownTags(text: string, tags: readonly string[]): Generator<Found> {
  for (const { start, end, tag } of placedTags(text)) {
    if (tags.includes(tag)) yield { kind: 'tag', start, text: text.slice(start, end), tag };
  }
}

function* knownUsers(text: string, mentions: readonly OwnerView[]): Generator<Found> {
  for (const { start, whole, trimmed } of placedNames(text)) {
    for (const name of [whole, trimmed]) {
      const user = mentions.find(({ username }) => username.toLowerCase() === name.toLowerCase());
      if (!user) continue;
      yield { kind: 'mention', start, text: text.slice(start, start + 1 + name.length), user };
      break;
    }
  }
}

/** An address without what stands at its end of the sentence around it. */
function withoutSentence(address: string): string {
  const surplus = new Map<string, number>();
  for (const [closing, opening] of Object.entries(BRACKETS))
    surplus.set(closing, address.split(closing).length - address.split(opening).length);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address.charAt(end - 1);
    const unopened = surplus.get(last) ?? 0;
    if (unopened > 0) surplus.set(last, unopened - 1);
    else if (!OF_SENTENCE.includes(last)) break;
  }
  return address.slice(0, end);
}
