import { expect } from 'chai';
import { FeedHistory } from '../load/feed-history.ts';
import { SharedStream, stamp } from '../load/shared-stream.ts';
import { TallyHistory } from '../load/tally-history.ts';

const event = (seq: number, title = 'Hello', prev = seq - 1) =>
  Buffer.from(
    JSON.stringify([
      'post:created',
      { id: 40 + seq, title, content: 'x', created_at: '2026-01-01T00:00:00.000Z' },
      { seq, prev },
    ]),
  );
const votes = (...tallies: { post_id: number; votes: number; replies: number; rev: number }[]) =>
  Buffer.from(JSON.stringify(['votes', tallies]));

describe('The load test’s check of one client', () => {
  const handed = (...seqs: number[]) => {
    const history = new FeedHistory();
    history.begin(10);
    for (const seq of seqs) history.take(seq);
    return history;
  };

  it('is content with every number once and in order', () => {
    const history = handed(11, 12, 13);
    expect([history.lost(13), history.doubled, history.outOfOrder]).to.deep.equal([0, 0, 0]);
    expect(history.reaches(13)).to.be.true;
  });

  it('finds an event that was lost during others', () => {
    const history = handed(11, 13);
    expect(history.lost(13)).to.equal(1);
    expect(history.reaches(13)).to.be.false;
  });

  it('finds the events that were lost at the end, where no later one shows the hole', () => {
    expect(handed(11, 12).lost(15)).to.equal(3);
    expect(handed().lost(15)).to.equal(5);
  });

  it('counts the whole of a hole that is too large to note', () => {
    expect(handed(50_011).lost(50_011)).to.equal(50_000);
  });

  it('finds a doubled event, also one from before the client’s beginning', () => {
    expect(handed(11, 12, 12).doubled).to.equal(1);
    expect(handed(10, 11).doubled).to.equal(1);
  });

  it('goes by the chain of a client with topics, and by its beacons', () => {
    const history = new FeedHistory();
    history.begin(10);
    history.take(14, 10);
    history.moveOn(20, 14);
    history.take(23, 20);
    expect([history.last, history.lost(23), history.doubled]).to.deep.equal([23, 0, 0]);
    // Behind a beacon that it does not reach, something is missing.
    history.moveOn(40, 30);
    expect(history.last).to.equal(23);
    history.take(45, 40);
    expect(history.reaches(45)).to.be.false;
  });

  it('counts of a hole what the chain names and what others were handed', () => {
    const history = new FeedHistory((seq) => seq === 12);
    history.begin(10);
    history.take(15, 14);
    expect(history.lost(15)).to.equal(2);
    expect(history.reaches(15)).to.be.false;
  });

  it('counts of the last numbers those that others were handed', () => {
    const history = new FeedHistory((seq) => seq === 12);
    history.begin(10);
    expect([history.lost(11), history.lost(13), history.reaches(11)]).to.deep.equal([0, 1, false]);
  });

  it('tells events that came late from those that never came', () => {
    const history = handed(11, 13, 12, 14);
    expect([history.outOfOrder, history.doubled, history.lost(14)]).to.deep.equal([1, 0, 0]);
  });
});

describe('The load test’s check of tallies', () => {
  it('finds a post of which a client holds an old tally, and one that it never heard of', () => {
    const stream = new SharedStream();
    const client = new TallyHistory(1);
    client.take(
      stream.tallies(
        votes({ post_id: 7, votes: 1, replies: 0, rev: 1 }, { post_id: 8, votes: 4, replies: 0, rev: 9 }),
      ),
    );
    client.take(stream.tallies(votes({ post_id: 8, votes: 3, replies: 0, rev: 8 })));
    const final = (...revs: [number, number][]) =>
      revs.map(([postId, rev]) => ({ slot: stream.slotOf(postId), rev }));
    expect(client.stale(final([7, 1], [8, 9]))).to.equal(0);
    expect(client.stale(final([7, 2], [8, 9]))).to.equal(1);
    expect(client.stale(final([7, 2], [8, 9], [99, 1]))).to.equal(2);
  });

  it('finds two numbers under one rev, between clients and against the database', () => {
    const stream = new SharedStream();
    stream.tallies(votes({ post_id: 7, votes: 1, replies: 0, rev: 1 }));
    stream.tallies(votes({ post_id: 7, votes: 2, replies: 0, rev: 1 }));
    stream.confirm({ post_id: 7, votes: 5, replies: 0, rev: 1 });
    expect(stream.contradictions).to.have.length(2);
  });
});

describe('What all clients of a load test must see alike', () => {
  it('reads an event once, and takes the same bytes for the same event', () => {
    const stream = new SharedStream();
    const first = stream.event(event(120));
    expect(first).to.include({ seq: 120, postId: 160, name: 'post:created' });
    expect(stream.event(event(120))).to.equal(first);
    expect(stream.contradictions).to.be.empty;
  });

  it('finds an event that differs between clients', () => {
    const stream = new SharedStream();
    stream.event(event(3));
    stream.event(event(3, 'Good bye'));
    expect(stream.contradictions).to.deep.equal(['event 3 differs between clients']);
  });

  it('does not take a payload’s own numbers for the event’s', () => {
    const text = '["post:deleted",{"seq":1,"prev":2,"id":5},{"seq":987654,"prev":987653}]';
    expect(new SharedStream().event(Buffer.from(text)).seq).to.equal(987_654);
    for (const rest of ['', ',{"seq":6}', ',{"prev":5}', ',{"seq":,"prev":5}'])
      expect(() => new SharedStream().event(Buffer.from(`["post:deleted",{"id":5}${rest}]`))).to.throw(
        'without a seq and a prev',
      );
  });

  it('finds an event that names another one before it', () => {
    const stream = new SharedStream();
    stream.event(event(2));
    stream.event(event(4, 'Hello', 2));
    stream.event(event(5));
    expect(stream.contradictions, 'what is for a single user lies in between').to.be.empty;
    stream.event(event(5, 'Hello', 3));
    expect(stream.contradictions).to.deep.equal(['event 5 says that 3 is before it']);
  });

  it('reads back when a post was asked for', () => {
    expect(stamp.read(stamp.write(1_764_000_000_123.456))).to.equal(1_764_000_000_123.456);
    expect(stamp.read('a post of somebody else')).to.be.undefined;
  });
});
