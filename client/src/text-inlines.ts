import { hrefOf, type TextPart, textParts, type TextReferences } from './text-parts.ts';

/** A piece of a line or a paragraph to render. Line breaks in it stand for themselves. */
export type TextInline =
  | TextPart
  | { kind: 'code'; text: string }
  /** `[text](href)`: `http`, `https` or `mailto`, never another scheme. */
  | { kind: 'named-link'; text: string; href: string }
  | { kind: 'strong' | 'emphasis'; inlines: TextInline[] };

/** A run of `*` or `_` that may begin or end something. */
interface Mark {
  kind: 'mark';
  text: string;
  opens: boolean;
  closes: boolean;
}

const CODE = /`+/g;
const NAMED_LINK = /\[([^[\]\n]{1,300})\]\((https?:\/\/[^\s()<>]{1,2000}|mailto:[^\s()<>]{1,320})\)/giu;
const MARKS = /\*+|_+/g;

/** The marks in a text without a blank line, nested; `references` as for `textParts`. In time that grows with its length alone. */
export function inlinesOf(text: string, references: TextReferences): TextInline[] {
  const pieces: (TextInline | Mark)[] = [];
  for (const [atom, start, end] of atomsOf(text, references)) {
    if (atom.kind !== 'text') {
      pieces.push(atom);
      continue;
    }
    let from = start;
    for (const { index, 0: run } of text.slice(start, end).matchAll(MARKS)) {
      const at = start + index;
      const mark = markOf(text, at, run);
      if (!mark) continue;
      pieces.push({ kind: 'text', text: text.slice(from, at) }, mark);
      from = at + run.length;
    }
    pieces.push({ kind: 'text', text: text.slice(from, end) });
  }
  return merged(nested(pieces));
}

/** What has no marks in it: code, links, tags and mentions; and the text between them. */
function* atomsOf(
  text: string,
  references: TextReferences,
): Generator<[atom: TextInline, start: number, end: number]> {
  const runs = new Map<number, number[]>();
  for (const { index, 0: run } of text.matchAll(CODE)) {
    const places = runs.get(run.length);
    if (places) places.push(index);
    else runs.set(run.length, [index]);
  }
  for (const places of runs.values()) places.reverse();
  let begin = 0;
  for (const { index, 0: run } of text.matchAll(CODE)) {
    // In a word it is an apostrophe.
    if (index < begin || isOfWord(letterBefore(text, index))) continue;
    const places = runs.get(run.length) ?? [];
    while ((places.at(-1) ?? Infinity) <= index) places.pop();
    const closing = places.at(-1);
    if (closing === undefined) continue;
    yield* linksOf(text, begin, index, references);
    const end = closing + run.length;
    yield [{ kind: 'code', text: withoutPadding(text.slice(index + run.length, closing)) }, index, end];
    begin = end;
  }
  yield* linksOf(text, begin, text.length, references);
}

function* linksOf(
  text: string,
  start: number,
  end: number,
  references: TextReferences,
): Generator<[atom: TextInline, start: number, end: number]> {
  let begin = start;
  for (const { index, 0: whole, 1: name = '', 2: address = '' } of text
    .slice(start, end)
    .matchAll(NAMED_LINK)) {
    const href = hrefOf(address);
    if (name.trim() === '' || href === undefined) continue;
    yield* partsOf(text, begin, start + index, references);
    begin = start + index + whole.length;
    yield [{ kind: 'named-link', text: name, href }, start + index, begin];
  }
  yield* partsOf(text, begin, end, references);
}

function* partsOf(
  text: string,
  start: number,
  end: number,
  references: TextReferences,
): Generator<[atom: TextInline, start: number, end: number]> {
  let at = start;
  for (const part of textParts(text.slice(start, end), references)) {
    yield [part, at, at + part.text.length];
    at += part.text.length;
  }
}

/** `` ` `` in code is written with a space beside it. */
function withoutPadding(code: string): string {
  return code.startsWith(' ') && code.endsWith(' ') && code.trim() !== '' ? code.slice(1, -1) : code;
}

/** Letters of words that stand without spaces between them. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
const BEFORE_OPENING = /[\s([{"'“‘«„–—*_]/u;
const AFTER_OPENING = /[\p{L}\p{N}"'“‘«„([@#*_`$€£]/u;
const BEFORE_CLOSING = /[^\s([{]/u;
const AFTER_CLOSING = /[\s.,:;!?…)\]}"'”’»“–—*_]/u;

/** Inside a word `*` and `_` are letters, and so they are between spaces. */
function markOf(text: string, at: number, run: string): Mark | undefined {
  if (run.length > 3) return undefined;
  const before = letterBefore(text, at);
  const after = String.fromCodePoint(text.codePointAt(at + run.length) ?? 32);
  const isFree = (letter: string, allowed: RegExp) => allowed.test(letter) || UNSPACED.test(letter);
  const opens = isFree(before, BEFORE_OPENING) && AFTER_OPENING.test(after);
  const closes = isFree(after, AFTER_CLOSING) && BEFORE_CLOSING.test(before);
  return opens || closes ? { kind: 'mark', text: run, opens, closes } : undefined;
}

function isOfWord(letter: string): boolean {
  return /[\p{L}\p{N}]/u.test(letter) && !UNSPACED.test(letter);
}

/** A space at the beginning. */
function letterBefore(text: string, at: number): string {
  if (at === 0) return ' ';
  const unit = text.charCodeAt(at - 1);
  const isSecond = unit >= 0xdc00 && unit <= 0xdfff && at > 1;
  return String.fromCodePoint(text.codePointAt(isSecond ? at - 2 : at - 1) ?? 32);
}

/**
 * What is between two equal marks becomes one piece. None is opened within itself, so the tree is at most as deep as there
 * are kinds of marks.
 */
function nested(pieces: readonly (TextInline | Mark)[]): TextInline[] {
  const done: (TextInline | Mark)[] = [];
  /** Where the open marks stand in `done`. */
  const open: { text: string; at: number }[] = [];
  for (const piece of pieces) {
    if (piece.kind !== 'mark') {
      done.push(piece);
      continue;
    }
    const opener = open.findLastIndex(({ text }) => text === piece.text);
    const begin = open[opener];
    const closes = begin !== undefined && piece.closes;
    if (closes) open.length = opener;
    if (closes && done.slice(begin.at + 1).some(isTold)) {
      const inlines = merged(done.splice(begin.at + 1).map(asText));
      done.pop();
      done.push(marked(piece.text.length, inlines));
    } else {
      if (piece.opens && (closes || !begin)) open.push({ text: piece.text, at: done.length });
      done.push(piece);
    }
  }
  return done.map(asText);
}

function marked(signs: number, inlines: TextInline[]): TextInline {
  if (signs === 1) return { kind: 'emphasis', inlines };
  return { kind: 'strong', inlines: signs === 2 ? inlines : [{ kind: 'emphasis', inlines }] };
}

/** Whether it is more than signs: `*_*` is a face. */
function isTold(piece: TextInline | Mark): boolean {
  return piece.kind !== 'mark' && (piece.kind !== 'text' || /[\p{L}\p{N}\p{S}]/u.test(piece.text));
}

function asText(piece: TextInline | Mark): TextInline {
  return piece.kind === 'mark' ? { kind: 'text', text: piece.text } : piece;
}

/** Texts beside each other are one, and empty ones none. */
export function merged(inlines: readonly TextInline[]): TextInline[] {
  const all: TextInline[] = [];
  let texts: string[] = [];
  const flush = () => {
    const text = texts.join('');
    texts = [];
    if (text !== '') all.push({ kind: 'text', text });
  };
  for (const inline of inlines) {
    if (inline.kind === 'text') texts.push(inline.text);
    else {
      flush();
      all.push(inline);
    }
  }
  flush();
  return all;
}
