import { expect } from 'chai';
import fc from 'fast-check';
import { MOST_NAMES, namesIn } from '../server/text/mentions.ts';
import { MOST_TAG_CHARACTERS, MOST_TAGS, placedTags, tagOf, tagsIn } from '../server/text/tags.ts';

/** Text → its tags. */
const tagged: Record<string, [text: string, tags: string[]][]> = {
  'a word behind a number sign': [
    ['#hello', ['hello']],
    ['Hello #World, and #again.', ['world', 'again']],
    ['(#one) "#two" …#three!', ['one', 'two', 'three']],
    ['#1st #covid19 #_private', ['1st', 'covid19', '_private']],
    ['first\n#second', ['second']],
  ],
  'what a hyphen, an apostrophe or another sign ends': [
    ["#rock-n-roll #ada's #C++ #C# #a/b #x.y", ['rock', 'ada', 'c', 'a', 'x']],
    ['#Brand™ #wow‼ #this→that', ['brand', 'wow', 'this']],
  ],
  'words of any script': [
    [
      '#東京 #한국어 #हिन्दी #กี่ #ไทย #ιδέα #Ελλάδα #Київ #עברית',
      ['東京', '한국어', 'हिन्दी', 'กี่', 'ไทย', 'ιδέα', 'ελλάδα', 'київ', 'עברית'],
    ],
    ['#东京，#大阪。', ['东京', '大阪']],
    ['#می‌خواهم', ['میخواهم']],
    ['#col·legi #東京・大阪 #東京・#大阪', ['col·legi', '東京・大阪', '東京', '大阪']],
  ],
  'emoji, whole': [
    ['#🎉 😀#after', ['🎉', 'after']],
    ['#👩🏽‍💻 #👨‍👩‍👧 #🇩🇪 #❤️', ['👩🏽‍💻', '👨‍👩‍👧', '🇩🇪', '❤']],
    ['#️⃣ #1️⃣', []],
  ],
  'the full-width and the small sign': [['＃タグ ﹟small', ['タグ', 'small']]],
  'one tag for each of its forms': [
    ['#Straße #STRASSE ＃ｓｔｒａｓｓｅ', ['strasse']],
    [`#${'é'.normalize('NFC')} #${'É'.normalize('NFD')}`, ['é']],
    ['#ΟΔΟΣ #οδος', ['οδοσ']],
    ['#İstanbul #ISTANBUL #istanbul', ['istanbul']],
    ['#ﬁn #FIN', ['fin']],
  ],
  'nothing where there is none': [
    ['# #. #- ##a ### #123 #2026_11 # a', []],
    ['a#b é#b 漢#b 1#b _#b', []],
    ['&#39; &#x27; &#nbsp;', []],
    ['https://x/#a https://x.org/p?q=1#a https://x.org/a,#b', []],
    ['www.example.org/#a example.org/a/#b example.org/?q=#c HTTP://X/#d', []],
    ['/#a x=#fff', []],
  ],
  'tags beside an address': [['https://x/#a #b (https://x.org) #c', ['b', 'c']]],
};

const named: Record<string, [text: string, names: string[]][]> = {
  'a name behind an at sign': [
    ['@ada', ['ada']],
    ['Hello @Ada, @bob-2 and @c_d.e!', ['Ada', 'bob-2', 'c_d.e']],
    ['(@ada) "@bob" .@cyd -@dan', ['ada', 'bob', 'cyd', 'dan']],
    ['＠ada', ['ada']],
  ],
  'a name without the dots and dashes behind it': [
    ['@ada. @bob... @cyd-- @dan_', ['ada', 'bob', 'cyd', 'dan']],
  ],
  'a name before a script without spaces': [['@ada你好 @bob님 こんにちは@cyd', ['ada', 'bob']]],
  'nobody in an address': [
    ['ada@example.org a.b@example.org a+@example.org müller@example.org', []],
    ['https://x.org/@ada https://ada@x.org www.x.org/@ada x.org/@ada', []],
    ['@ada@example.org @@ada', []],
  ],
  'nobody in a part of a word, or in a name that nobody can have': [
    ['@adaé @ab @a. @' + 'x'.repeat(31), []],
    ['x@ada 漢@ada', []],
  ],
};

describe('tags in a text', () => {
  for (const [what, texts] of Object.entries(tagged))
    it(`are ${what}`, () => {
      for (const [text, tags] of texts) expect(tagsIn(text), text).to.deep.equal(tags);
    });

  it('are the first ten distinct ones of title and content', () => {
    const many = Array.from({ length: 15 }, (_, n) => `#t${n} #T${n}`).join(' ');
    expect(tagsIn('#title', many)).to.deep.equal(['title', ...Array.from({ length: 9 }, (_, n) => `t${n}`)]);
    expect(tagsIn('#title', many)).to.have.length(MOST_TAGS);
  });

  it('are none rather than a part of one that is too long', () => {
    const longest = '漢'.repeat(MOST_TAG_CHARACTERS);
    expect(tagsIn(`#${longest} #${longest}x #${'😀'.repeat(MOST_TAG_CHARACTERS)}`)).to.deep.equal([
      longest,
      '😀'.repeat(MOST_TAG_CHARACTERS),
    ]);
  });

  it('are asked for with or without the sign, in any form', () => {
    for (const name of ['straße', '#Straße', '＃ＳＴＲＡＳＳＥ', 'strasse'])
      expect(tagOf(name)).to.equal('strasse');
    for (const name of ['', '#', '##a', '123', 'a b', 'a-b', '#a#b', 'x'.repeat(101), '\u0301a'])
      expect(tagOf(name), name).to.equal(undefined);
  });

  /** Any characters, and often those that are hard. */
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom(...Array.from('#＃﹟@/:._-·・&;= aZé１ßςΣİıﬁｶﾞﾟ漢한กีि्क👩🏽💻❤🇩🇪™‼')),
      fc.constantFrom(
        '\u0301',
        '\u0345',
        '\u200c',
        '\u200d',
        '\ufe0f',
        '\u20e3',
        '\u0d4e',
        '\u0600',
        '\u00ad',
      ),
      fc.constantFrom('https://', 'www.', '\u{1f3fd}', '\u{e0067}', '\u{11a84}', '\ufdfa'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    maxLength: 40,
  });

  it('are in their normal form already', () => {
    fc.assert(
      fc.property(text, (written) => {
        for (const tag of tagsIn(written, `#${written}`)) {
          expect(tagOf(tag)).to.equal(tag);
          expect(tagsIn(`#${tag}`)).to.deep.equal([tag]);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('are the same in every Unicode form of the text', () => {
    fc.assert(
      fc.property(text, (written) => {
        const tag = tagOf(written);
        if (tag === undefined) return;
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'])
          expect(tagOf(written.normalize(form))).to.equal(tag);
      }),
      { numRuns: 5000 },
    );
  });

  it('begin and end where characters do, as a reader sees them', () => {
    const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
    fc.assert(
      fc.property(text, (written) => {
        const characters = [...segmenter.segment(written)].map(({ index }) => index);
        const edges = new Set([...characters, written.length]);
        for (const { start, end } of placedTags(written))
          for (const edge of [start, start + 1, end]) expect(edges.has(edge), `${edge}`).to.equal(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('are found in time that grows with the length of the text', () => {
    const units = [
      '#',
      '#a',
      '#a ',
      ' #1',
      '#·',
      '·a',
      '\u0301',
      '\u200d',
      '\u{1193f}',
      '😀\u200d',
      'www.',
      '://',
      '\ufdfa',
    ];
    for (const unit of units) {
      const time = (length: number) => {
        const texts = ['#', '#a', ''].map((start) => start + unit.repeat(length / unit.length));
        const began = process.cpuUsage();
        for (const written of texts) tagsIn(written, `@${written}`);
        for (const written of texts) namesIn(written, `@${written}`);
        const { user, system } = process.cpuUsage(began);
        return (user + system) / 1000;
      };
      time(1000);
      expect(time(10_000), unit).to.be.below(250);
    }
  });
});

describe('names in a text', () => {
  for (const [what, texts] of Object.entries(named))
    it(`are ${what}`, () => {
      for (const [text, names] of texts)
        expect(
          namesIn(text).map(({ trimmed }) => trimmed),
          text,
        ).to.deep.equal(names);
    });

  it('are told with the dots and dashes behind them too, which old usernames may end with', () => {
    expect(namesIn('@ada.-')).to.deep.equal([{ whole: 'ada.-', trimmed: 'ada' }]);
  });

  it('are distinct without regard to case, and not too many', () => {
    expect(namesIn('@ada @ADA')).to.have.length(1);
    const many = Array.from({ length: 2000 }, (_, n) => `@u${n + 1000}`).join(' ');
    expect(namesIn(many)).to.have.length(MOST_NAMES);
  });
});
