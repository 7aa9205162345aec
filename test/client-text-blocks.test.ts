import { expect } from 'chai';
import fc from 'fast-check';
import { type TextBlock, textBlocks } from '../client/src/text-blocks.ts';
import type { TextInline } from '../client/src/text-inlines.ts';

const mentions = [{ id: 7, username: 'bob_b' }];
const tags = ['live', 'a_b'];
const blocks = (text: string) => textBlocks(text, { tags, mentions });

/** What is shown of a text: `*x*` for emphasis, `**x**` for strong, and so on for the rest. */
const shown = (text: string): string => blocks(text).map(block).join('¶');

function block(one: TextBlock): string {
  switch (one.kind) {
    case 'text':
      return one.inlines.map(inline).join('');
    case 'code':
      return `code(${one.language}:${one.text})`;
    case 'table':
      return `table(${one.text})`;
    case 'quote':
      return `quote(${one.blocks.map(block).join('¶')})`;
    case 'list':
      return `list(${one.items.map((item) => `${item.number ?? '•'} ${item.blocks.map(block).join('¶')}`).join('; ')})`;
  }
}

function inline(one: TextInline): string {
  switch (one.kind) {
    case 'text':
      return one.text;
    case 'strong':
    case 'emphasis':
      return `${one.kind}(${one.inlines.map(inline).join('')})`;
    case 'named-link':
      return `link(${one.text}→${one.href})`;
    default:
      return `${one.kind}(${one.text})`;
  }
}

/** All that is shown, without what stands for it. */
function wordsIn(all: readonly TextBlock[]): string {
  const ofInlines = (inlines: readonly TextInline[]): string =>
    inlines.map((one) => ('inlines' in one ? ofInlines(one.inlines) : one.text)).join('');
  return all
    .map((one) => {
      if (one.kind === 'text') return ofInlines(one.inlines);
      if (one.kind === 'quote') return wordsIn(one.blocks);
      if (one.kind === 'list')
        return one.items.map((item) => `${item.number ?? ''}${wordsIn(item.blocks)}`).join('');
      return one.kind === 'code' ? one.language + one.text : one.text;
    })
    .join('');
}

function depthOf(all: readonly TextBlock[]): number {
  const below = all.flatMap((one) =>
    one.kind === 'quote' ? [one.blocks] : one.kind === 'list' ? one.items.map((item) => item.blocks) : [],
  );
  return 1 + Math.max(0, ...below.map(depthOf));
}

describe('a text with marks in it', () => {
  it('has emphasis, code and links in a line', () => {
    expect(shown('*a* and _b_, **c** and __d__, ***e***')).to.equal(
      'emphasis(a) and emphasis(b), strong(c) and strong(d), strong(emphasis(e))',
    );
    expect(shown('**bold with *more* in it**')).to.equal('strong(bold with emphasis(more) in it)');
    expect(shown('Say `a * b * c` and ``with ` in it``.')).to.equal(
      'Say code(a * b * c) and code(with ` in it).',
    );
    expect(shown('`` ` ``')).to.equal('code(`)');
    expect(shown('*over\nlines*')).to.equal('emphasis(over\nlines)');
    expect(shown('这是**重点**内容')).to.equal('这是strong(重点)内容');
    expect(shown('See [the site](https://example.org/a_b_c) and *https://example.org/_x_y*.')).to.equal(
      'See link(the site→https://example.org/a_b_c) and emphasis(link(https://example.org/_x_y)).',
    );
    expect(shown('[write](mailto:a@example.org)')).to.equal('link(write→mailto:a@example.org)');
    expect(shown('#live, @bob_b and *#live*')).to.equal(
      'tag(#live), mention(@bob_b) and emphasis(tag(#live))',
    );
  });

  it('has code, tables, quotes and lists', () => {
    expect(shown('Look:\n\n```ts\nif (a * b * c)\n\n  return;\n```\n\nSo.')).to.equal(
      'Look:¶code(ts:if (a * b * c)\n\n  return;)¶So.',
    );
    expect(shown('~~~\n```\n~~~~')).to.equal('code(:```)');
    expect(shown('| a | b |\n|---|---|\n| 1 | 2 |')).to.equal('table(| a | b |\n|---|---|\n| 1 | 2 |)');
    expect(shown('> one\n> two\n>> three\nfour')).to.equal('quote(one\ntwo¶quote(three))¶four');
    expect(shown('- one\n- two\n  more\n  - *inner*\n\n- three')).to.equal(
      'list(• one; • two\nmore¶list(• emphasis(inner)); • three)',
    );
    expect(shown('1999. What a year\n2000. Another')).to.equal('list(1999 What a year; 2000 Another)');
    expect(shown('- a\n1. b')).to.equal('list(• a)¶list(1 b)');
  });

  it('is as it was typed where nothing is marked', () => {
    for (const text of [
      'Hello,\n\n\n  you there.  \nHow are you?\n',
      '2 * 3 * 4 and 2*3*4 and 2 ** 3',
      'snake_case_name, __a, b__c, _private_name and some*star*word',
      '*.ts and *.js, **/*.ts and **/*.js',
      '^_^ *_* >_< -_- o_o T_T ¯\\_(ツ)_/¯',
      '*unfinished and _this and **that',
      '*not\n\nover blank lines*',
      '# no heading\n## nor this\n#tag',
      '>no quote, >:( and a > b',
      '-5 degrees\n-x\n+1\n*footnote',
      'one\n---\ntwo\n* * *\nthree\n- - -',
      '```\nno end',
      'it`s not, don`t and `no end',
      '[a](javascript:alert(1)) [b](data:text/html,x) [c](//example.org) [d](ftp://example.org)',
      '![picture](x.png) <b>no</b> &lt; &amp; <script>alert(1)</script>',
      '| one line |',
      '\\*no escapes\\*',
    ])
      expect(shown(text)).to.equal(text);
  });

  it('keeps every letter of whatever was typed, in bounded depth, and never throws', () => {
    const pieces = fc.constantFrom(
      ...[
        '*',
        '**',
        '_',
        '__',
        '`',
        '``',
        '```',
        '~~~',
        '> ',
        '>',
        '- ',
        '1. ',
        '  ',
        '|',
        '\n',
        '\n\n',
        ' ',
      ],
      ...[
        'a',
        'Ω',
        '字',
        '😀',
        '\ud800',
        '\u202e',
        '\0',
        '#live',
        '@bob_b',
        '[',
        '](https://x.org)',
        ')',
        '.',
      ],
    );
    const letters = (text: string) =>
      text.replaceAll(/\]\(https:\/\/x\.org(?:\/)?\)/g, '').match(/[aΩ字😀]/gu) ?? [];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces, { maxLength: 80 }).map((all) => all.join('')),
          fc.string(),
        ),
        (text) => {
          const all = blocks(text);
          expect(letters(wordsIn(all))).to.deep.equal(letters(text));
          expect(depthOf(all)).to.be.at.most(6);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('takes time by its length alone, whatever it is', () => {
    const LENGTH = 400_000;
    const timeOf = (piece: string, length: number) => {
      const text = piece.repeat(Math.ceil(length / piece.length)).slice(0, length);
      // Of the processor: the time of the clock is that of others, too.
      const before = process.cpuUsage();
      blocks(text);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    };
    for (const piece of [
      ...[
        '*',
        '_',
        '*a',
        'a*',
        '*a ',
        ' *a* ',
        '*_',
        '*_ ',
        '**a *b ',
        ',* ',
        '`',
        '`a',
        '``a`',
        '` ',
        ' `',
        '>',
        '> ',
        '>\n',
      ],
      ...[
        '- ',
        '- a\n',
        '- a\n  ',
        '- a\n1. b\n',
        '  - ',
        ' ',
        '\n',
        ' \n',
        '|',
        '| ',
        '|a|\n',
        '```\n',
        '```a\n',
        '~~~~',
        '~`',
      ],
      ...[
        '[',
        '[a',
        '[a]',
        '[a](https://x',
        '[a](https://x.org)',
        '](',
        '#live ',
        '@bob_b ',
        'https://x.org ',
        '*#live* ',
      ],
      ...[
        '-' + ' '.repeat(300_000),
        '```' + ' '.repeat(300_000) + '`',
        '~'.repeat(300_000) + '`',
        '- '.repeat(150_000) + 'x',
      ],
    ]) {
      const took = timeOf(piece, LENGTH);
      // A tenth of it is the measure: what grew with the square would take a hundred times as long, not ten.
      const measure = Math.max(timeOf(piece, LENGTH / 10), 20);
      expect(took, JSON.stringify(piece.slice(0, 20))).to.be.below(40 * measure);
    }
  });
});
