import { expect } from 'chai';
import fc from 'fast-check';
import { searchParts } from '../client/src/index.ts';

const marked = (text: string, search: string) =>
  searchParts(text, search)
    .map(({ text: part, found }) => (found ? `[${part}]` : part))
    .join('');

describe('what is marked of a text that a search has found', () => {
  it('is each word, whatever its case, accents and form', () => {
    expect(marked('Café, CAFE\u0301 and decaf', 'cafe')).to.equal('[Café], [CAFE\u0301] and decaf');
    expect(marked('Straße ﬁne', 'STRASSE fi')).to.equal('[Straße] [ﬁ]ne');
    expect(marked('a % of 100_000', '% _0')).to.equal('a [%] of 100[_0]00');
    expect(marked('banana', 'ana an')).to.equal('b[anana]');
    expect(marked('nothing', '')).to.equal('nothing');
  });

  it('makes up the text, whatever that is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, search) => {
        expect(
          searchParts(text, search)
            .map((part) => part.text)
            .join(''),
        ).to.equal(text);
      }),
    );
    expect(searchParts('a'.repeat(10_000), 'a '.repeat(100) + 'a'.repeat(200))).to.have.length(1);
  });
});
