import { expect } from 'chai';
import { SharedPages } from '../server/delivery/shared-pages.ts';
import { postEntry } from './support/log-entries.ts';

describe('pages that clients share who are behind by the same events', () => {
  const entry = (seq: number) => postEntry(seq, { postId: seq, json: JSON.stringify({ id: seq }) });
  const entries = [entry(5), entry(6), entry(7)];

  it('are made once for those who are at the same place of the same chain', () => {
    const pages = new SharedPages();
    const page = pages.of('epoch', [...entries], 4);
    expect(pages.of('epoch', [...entries], 4)).to.equal(page);
    expect(page.publicView.events.map(({ entry: { seq }, prev }) => [seq, prev])).to.deep.equal([
      [5, 4],
      [6, 5],
      [7, 6],
    ]);
  });

  it('are others in another chain and another epoch, and where they end elsewhere', () => {
    const pages = new SharedPages();
    const page = pages.of('epoch', entries, 4);
    expect(pages.of('epoch', entries, 3).publicView.events[0]?.prev).to.equal(3);
    expect(pages.of('another', entries, 4).epoch).to.equal('another');
    expect(pages.of('epoch', entries.slice(0, 2), 4).last).to.equal(6);
    expect(pages.of('epoch', entries, 4)).to.equal(page);
  });

  it('are others when a text has been taken out since', () => {
    const pages = new SharedPages();
    pages.of('epoch', entries, 4);
    const [first, ...rest] = entries;
    if (!first) throw new Error('there is no event');
    const redacted = { ...first, json: '{}' };
    expect(pages.of('epoch', [redacted, ...rest], 4).entries[0]).to.equal(redacted);
  });
});
