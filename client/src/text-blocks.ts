import { type TextPart, textParts, type TextReferences } from './text-parts.ts';

/** A piece of a line or a paragraph to render. Line breaks in it stand for themselves. */
export type TextInline =
  | TextPart
  | { kind: 'code'; text: string }
  /** `[text](href)`: `http`, `https` or `mailto`, never another scheme. */
  | { kind: 'named-link'; text: string; href: string }
  | { kind: 'strong' | 'emphasis'; inlines: TextInline[] };

/** A part of a text that stands by itself. */
export type TextBlock =
  /** Paragraphs, with the blank lines between them: to be shown as typed, with its line breaks and spaces. */
  | { kind: 'text'; inlines: TextInline[] }
  /** `language`: what follows the opening fence, or ''. */
  | { kind: 'code'; text: string; language: string }
  /** Lines of cells between `|`, as typed: in a face whose letters are equally wide its columns stand under each other. */
  | { kind: 'table'; text: string }
  | { kind: 'quote'; blocks: TextBlock[] }
  /** `number`: of an item of an ordered list, as typed. */
  | { kind: 'list'; ordered: boolean; items: { number: number | undefined; blocks: TextBlock[] }[] };

/** Quotes and lists in one another are told apart so deep; what is deeper is text. */
const DEEPEST = 4;

const BLANK = /^\s*$/;
const FENCE = /^ {0,3}(`{3,}(?!`)|~{3,}(?!~))([^`]*)$/;
const QUOTE = /^ {0,3}>(?: |$|(?=>))/;
const ITEM = /^( {0,3}(?:[-*]|(\d{1,9})[.)]) +)(?=\S)/;
/** A line between two parts of a text, which looks like an item. */
const RULE = /^ {0,3}([-*])(?: *\1){2,} *$/;
const ROW = /^ {0,3}\|.*\| *$/;

/**
 * A text with what its writer has marked: a small part of Markdown without headings (`#word` is a tag), pictures and
 * HTML. Tags, mentions and web addresses are found as `textParts` does. What is not marked is as it was typed. Everything
 * is plain text: show it as text, not as HTML. The time grows with the length alone, whatever the text.
 */
export function textBlocks(text: string, references: TextReferences): TextBlock[] {
  return blocksOf(text.split('\n'), references, 0);
}

/** A block, and the line after it. */
type Found = [block: TextBlock, end: number];

function blocksOf(lines: readonly string[], references: TextReferences, depth: number): TextBlock[] {
  const blocks: TextBlock[] = [];
  const fences = new Fences(lines);
  let begin = 0;
  const flush = (end: number) => {
    let [from, to] = [begin, end];
    // Beside another block blank lines say no more than that.
    if (blocks.length > 0) while (from < to && isBlank(lines[from])) from += 1;
    if (end < lines.length) while (from < to && isBlank(lines[to - 1])) to -= 1;
    if (from < to) blocks.push({ kind: 'text', inlines: paragraphs(lines.slice(from, to), references) });
  };
  for (let at = 0; at < lines.length;) {
    const found: Found | undefined =
      fences.at(at) ??
      tableAt(lines, at) ??
      (depth < DEEPEST
        ? (quoteAt(lines, at, references, depth) ?? listAt(lines, at, references, depth))
        : undefined);
    if (!found) {
      at += 1;
      continue;
    }
    flush(at);
    blocks.push(found[0]);
    begin = at = found[1];
  }
  flush(lines.length);
  return blocks;
}

/** Code between fences. Without a closing one it is text. */
class Fences {
  readonly #lines: readonly string[];
  /** By the sign of a fence, from what length on none is closed any more: none is looked for twice. */
  readonly #open = new Map<string, number>();

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  at(at: number): Found | undefined {
    const [, fence = '', language = ''] = FENCE.exec(this.#lines[at] ?? '') ?? [];
    const sign = fence.charAt(0);
    if (fence === '' || fence.length >= (this.#open.get(sign) ?? Infinity)) return undefined;
    for (let end = at + 1; end < this.#lines.length; end += 1) {
      const [, closing = '', rest = ''] = FENCE.exec(this.#lines[end] ?? '') ?? [];
      if (!closing.startsWith(fence) || !isBlank(rest)) continue;
      const text = this.#lines.slice(at + 1, end).join('\n');
      return [{ kind: 'code', text, language: language.trim() }, end + 1];
    }
    this.#open.set(sign, fence.length);
    return undefined;
  }
}

function tableAt(lines: readonly string[], at: number): Found | undefined {
  let end = at;
  while (end < lines.length && ROW.test(lines[end] ?? '')) end += 1;
  return end - at < 2 ? undefined : [{ kind: 'table', text: lines.slice(at, end).join('\n') }, end];
}

function quoteAt(
  lines: readonly string[],
  at: number,
  references: TextReferences,
  depth: number,
): Found | undefined {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end] ?? '')) end += 1;
  if (end === at) return undefined;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ''));
  return [{ kind: 'quote', blocks: blocksOf(inner, references, depth + 1) }, end];
}

function listAt(
  lines: readonly string[],
  at: number,
  references: TextReferences,
  depth: number,
): Found | undefined {
  const first = itemOf(lines[at]);
  if (!first) return undefined;
  const ordered = first.number !== undefined;
  const items: { number: number | undefined; lines: string[] }[] = [];
  let indent = 0;
  let end = at;
  while (end < lines.length) {
    // Blank lines belong to the list if it goes on after them.
    let next = end;
    while (next < lines.length && isBlank(lines[next])) next += 1;
    const line = lines[next] ?? '';
    const item = itemOf(line);
    const isInside = items.length > 0 && leadingSpaces(line) >= indent && next < lines.length;
    const isItem = !isInside && item && (item.number !== undefined) === ordered;
    if (!isInside && !isItem) break;
    const before = items.at(-1);
    if (before && isInside) {
      for (; end < next; end += 1) before.lines.push('');
      before.lines.push(line.slice(indent));
    } else if (item) {
      indent = item.indent;
      items.push({ number: item.number, lines: [line.slice(indent)] });
    }
    end = next + 1;
  }
  return [
    {
      kind: 'list',
      ordered,
      items: items.map((item) => ({
        number: item.number,
        blocks: blocksOf(item.lines, references, depth + 1),
      })),
    },
    end,
  ];
}

function itemOf(line = ''): { indent: number; number: number | undefined } | undefined {
  const [, head, number] = (RULE.test(line) ? null : ITEM.exec(line)) ?? [];
  return head === undefined
    ? undefined
    : { indent: head.length, number: number === undefined ? undefined : Number(number) };
}

function leadingSpaces(line: string): number {
  return line.length - line.trimStart().length;
}

function isBlank(line = ''): boolean {
  return BLANK.test(line);
}

/** Marks do not reach over a blank line. */
function paragraphs(lines: readonly string[], references: TextReferences): TextInline[] {
  const inlines: TextInline[] = [];
  let paragraph: string[] = [];
  const flush = () => {
    for (const inline of inlinesOf(paragraph.join('\n'), references)) inlines.push(inline);
    paragraph = [];
  };
  lines.forEach((line, at) => {
    if (at > 0 && isBlank(line) !== isBlank(lines[at - 1])) {
      flush();
      inlines.push({ kind: 'text', text: '\n' });
    }
    paragraph.push(line);
  });
  flush();
  return merged(inlines);
}

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

function inlinesOf(text: string, references: TextReferences): TextInline[] {
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
    if (name.trim() === '' || !URL.canParse(address)) continue;
    yield* partsOf(text, begin, start + index, references);
    const { href } = new URL(address);
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
function merged(inlines: readonly TextInline[]): TextInline[] {
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
