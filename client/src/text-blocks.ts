import { inlinesOf, merged, type TextInline } from './text-inlines.ts';
import type { TextReferences } from './text-parts.ts';

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
