import { expect } from 'chai';
import { textBlocks, textParts } from '../client/src/index.ts';

const ada = { id: 1, username: 'ada' };
/** The parts of a text that are more than text, each with what it leads to. */
const found = (text: string, tags: string[] = [], mentions: { id: number; username: string }[] = []) =>
  textParts(text, { tags, mentions }).flatMap((part) => {
    if (part.kind === 'text') return [];
    const to = part.kind === 'tag' ? part.tag : part.kind === 'link' ? part.href : part.user.id;
    return [[part.text, to]];
  });

describe('the parts of a text', () => {
  it('are its tags and mentions, as far as its post knows them', () => {
    const text = '#Straße by @Ada, @ada. and @bob #other';
    expect(found(text, ['strasse'], [ada])).to.deep.equal([
      ['#Straße', 'strasse'],
      ['@Ada', 1],
      ['@ada', 1],
    ]);
    expect(found(text)).to.deep.equal([]);
  });

  it('are web addresses, without what is of the sentence around them', () => {
    for (const [text, address] of [
      ['see https://example.org.', 'https://example.org'],
      ['(https://example.org/a_(b)?c=1#d)', 'https://example.org/a_(b)?c=1#d'],
      ['HTTP://Example.org/x!!', 'HTTP://Example.org/x'],
      ['"https://example.org/ä",', 'https://example.org/ä'],
    ] as const)
      expect(found(text), text).to.deep.equal([[address, new URL(address).href]]);
    for (const text of ['javascript:alert(1)', 'https://', 'ftp://example.org', 'data:text/html,x'])
      expect(found(text), text).to.deep.equal([]);
  });

  it('are found where there is no URL.canParse, as in the oldest browsers', () => {
    const canParse = Object.getOwnPropertyDescriptor(URL, 'canParse')!;
    Reflect.deleteProperty(URL, 'canParse');
    try {
      expect(found('see https://example.org and https://')).to.have.length(1);
      const [block] = textBlocks('[a](https://example.org)', {});
      expect(JSON.stringify(block)).to.contain('"named-link"');
    } finally {
      Object.defineProperty(URL, 'canParse', canParse);
    }
  });

  it('find no tag and no mention within an address', () => {
    expect(found('https://example.org/@ada#tag', ['tag'], [ada])).to.have.length(1);
  });

  it('make up the text', () => {
    const text = 'A @ada b https://example.org/) #tag';
    expect(
      textParts(text, { tags: ['tag'], mentions: [ada] })
        .map((part) => part.text)
        .join(''),
    ).to.equal(text);
    expect(textParts(')'.repeat(100_000), {})).to.have.length(1);
  });
});
