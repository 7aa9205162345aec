import { expect } from 'chai';
import fc from 'fast-check';
import { contains, fold, wordsOf } from '../server/text/fold.ts';

/** What a search takes for the same, by script. */
const same: Record<string, [written: string, asked: string][]> = {
  'Latin letters with accents': [
    ['über', 'uber'],
    ['Việt Nam', 'viet nam'],
    ['Łódź', 'lodz'],
    ['Ærøskøbing', 'aeroskobing'],
    ['naïve', 'NAÏVE'],
  ],
  'German capitals': [
    ['straße', 'STRASSE'],
    ['STRAẞE', 'strasse'],
  ],
  'the four Turkish letters i': [
    ['İstanbul', 'istanbul'],
    ['ISPARTA', 'ısparta'],
  ],
  'Greek with tonos and final sigma': [
    ['ΟΔΟΣ', 'οδος'],
    ['Άνθρωπος', 'ανθρωποσ'],
  ],
  'Cyrillic ё': [['Ёлка', 'елка']],
  'Arabic with vowel signs, hamza and tatweel': [
    ['مُحَمَّد', 'محمد'],
    ['أحمد', 'احمد'],
    ['محـــمد', 'محمد'],
  ],
  'Hebrew with points': [['שָׁלוֹם', 'שלום']],
  'Korean in syllables and in letters': [['한국'.normalize('NFD'), '한국']],
  'Japanese of half width': [['ｶﾞｷﾞ', 'ガギ']],
  'Latin of full width and ligatures': [
    ['Ｈｅｌｌｏ', 'hello'],
    ['ﬁnal oﬀer', 'final offer'],
  ],
  'text with characters that show nothing': [
    ['co\u00adop\u200b', 'coop'],
    ['❤️', '❤'],
  ],
};

/** What stays two things: marks that are vowels, tones or letters. */
const different: [string, string][] = [
  ['й', 'и'],
  ['が', 'か'],
  ['ひ', 'ヒ'],
  ['กี', 'กา'],
  ['ไม่', 'ไม้'],
  ['कि', 'की'],
  ['한', '하'],
  ['鯨', '鯢'],
  ['😀', '😂'],
];

/** Any characters, and often those that are hard. */
const text = fc.string({
  unit: fc.oneof(
    { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        ...Array.from('aAiIİıßẞſςΣσéÅøÆёйИ\u0306\u0301\u0345がｶﾞ한ᄒ\u1161👩\u200d \u3000\t'),
      ),
    },
  ),
  maxLength: 20,
});

describe('the fold that searches compare', () => {
  for (const [what, pairs] of Object.entries(same))
    it(`takes ${what} for the same`, () => {
      for (const [written, asked] of pairs)
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'])
          expect(contains(wordsOf(asked.normalize(form)), written), `${asked} in ${written}`).to.be.true;
    });

  it('keeps letters apart that differ in more than an accent', () => {
    for (const [one, other] of different) expect(fold(one), one).not.to.equal(fold(other));
  });

  it('changes nothing when it is done again, nor for case or Unicode form', () => {
    fc.assert(
      fc.property(text, (written) => {
        const folded = fold(written);
        expect(fold(folded)).to.equal(folded);
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'])
          expect(fold(written.normalize(form))).to.equal(folded);
        expect(fold(written.toLowerCase())).to.equal(folded);
        // The iota below a Greek letter is an accent of the small letter, and a letter beside the capital.
        if (!written.normalize('NFD').includes('\u0345'))
          expect(fold(written.toUpperCase())).to.equal(folded);
      }),
      { numRuns: 3000 },
    );
  });

  it('finds words in any order, in title or content, and text without a word in everything', () => {
    expect(contains(wordsOf('ferry late'), 'The ferry is late', 'again')).to.be.true;
    expect(contains(wordsOf('again THE'), 'The ferry is late', 'again')).to.be.true;
    expect(contains(wordsOf('ferry early'), 'The ferry is late', 'again')).to.be.false;
    expect(contains(wordsOf('lateagain'), 'The ferry is late', 'again')).to.be.false;
    expect(contains(wordsOf(' \u3000\u00ad'), '')).to.be.true;
  });

  it('has no word of which nothing is seen', () => {
    for (const nothing of [
      '\u3164',
      '\u0301',
      '\u2800',
      '\ufffc',
      '\u{13430}',
      '\u200d\ufe0f',
      ' \u3000\u0085',
    ])
      expect(wordsOf(`${nothing} ferry ${nothing}`), JSON.stringify(nothing)).to.deep.equal(['ferry']);
  });
});
