import { expect } from 'chai';
import { RelationMemory, type RelationSource } from '../server/delivery/relation-memory.ts';
import type { FeedSubscriber } from '../server/delivery/subscriber.ts';
import { createLogger } from '../server/logger.ts';
import type { RelationRows } from '../server/topics/relations.ts';
import { KeptSubscriber } from './support/bare-delivery.ts';
import { until } from './support/waiting.ts';

type Read = Awaited<ReturnType<RelationSource['relations']>>;

const USER = 1;
const AUTHOR = 7;
const rowsOf = (rows: Partial<RelationRows>): RelationRows => ({
  userId: USER,
  follows: [],
  blocks: [],
  blockedBy: [],
  mutes: [],
  moderatesSince: null,
  ...rows,
});

describe('the relations of a user whose tabs come one after the other', () => {
  let feed: { seq: number };
  let memory: RelationMemory<FeedSubscriber>;
  /** The reads that were asked for, each answered by the test. */
  let reads: { withFollows: boolean; answer: (read: Read) => void }[];
  const tabs: KeptSubscriber[] = [];

  beforeEach(() => {
    feed = { seq: 10 };
    reads = [];
    memory = new RelationMemory<FeedSubscriber>({
      feed,
      source: {
        relations: ([user]) =>
          new Promise((answer) => reads.push({ withFollows: user?.withFollows === true, answer })),
        followChanges: (_userId, after, upTo) =>
          Promise.resolve(
            [{ seq: 5, targetId: AUTHOR, added: false }].filter(({ seq }) => seq > after && seq <= upTo),
          ),
      },
      log: createLogger('silent'),
    });
  });
  afterEach(() => {
    for (const tab of tabs.splice(0)) memory.leave(tab);
    memory.stop();
  });

  /** One more connection of the user. @returns it, and when what it needs is known */
  function open(topics: readonly string[]): { tab: KeptSubscriber; ready: Promise<void> } {
    const tab = new KeptSubscriber(USER, topics);
    tabs.push(tab);
    memory.enter(tab);
    return { tab, ready: memory.ready(tab) };
  }
  const pass = (kind: 'follow' | 'block', added: boolean) => {
    feed.seq += 1;
    const change = { kind, user_id: USER, target_id: AUTHOR, added };
    const hiding = memory.apply(change, feed.seq);
    memory.advanced();
    return hiding;
  };

  it('are read once, and what one tab has had looked up is not taken from it', async () => {
    const first = open(['home']);
    await until('the read', () => reads.length === 1);
    const second = open(['home']);
    reads[0]!.answer({ head: 10, rows: [rowsOf({})] });
    await first.ready;
    const { member } = first.tab;
    // It was unfollowed at 5, which the first tab came back from before.
    await memory.extend(member!, 2);
    await second.ready;
    expect(reads).to.have.lengthOf(1);
    expect(member!.relations.changesFrom).to.equal(2);
    const follows = member!.relations.followsAfter(2);
    expect([3, 4, 5, 6].map((seq) => follows(AUTHOR, seq))).to.deep.equal([true, true, false, false]);
  });

  it('stay where the node is when whom the user follows is read later, further on', async () => {
    const first = open([]);
    await until('the read', () => reads.length === 1);
    reads[0]!.answer({ head: 10, rows: [rowsOf({ blockedBy: [3] })] });
    await first.ready;
    const second = open(['home']);
    await until('the other read', () => reads.length === 2);
    expect(reads[1]!.withFollows).to.equal(true);
    const { relations } = first.tab.member!;
    expect(pass('follow', true)).to.be.empty;
    // By then the log is two events further: the author was blocked, and the third user blocks nobody.
    reads[1]!.answer({ head: 13, rows: [rowsOf({ follows: [AUTHOR, 8], blocks: [AUTHOR] })] });
    await until('it to be taken', () => relations.followsHead !== undefined);
    expect([memory.isKnown(first.tab), memory.isKnown(second.tab)]).to.deep.equal([true, false]);
    expect([relations.hides(AUTHOR), relations.hides(3)]).to.deep.equal([false, true]);
    // What waits for the first tab is taken back when the node passes the block, as the answer to the block promises.
    expect(pass('block', true)).to.deep.equal([first.tab.member]);
    expect(relations.hides(AUTHOR)).to.equal(true);
    pass('follow', false);
    await second.ready;
    expect([...relations.follows], 'as of 13').to.deep.equal([AUTHOR, 8]);
    pass('follow', false);
    expect([...relations.follows]).to.deep.equal([8]);
  });

  it('that change while earlier changes are read are not taken for known', async () => {
    const first = open(['home']);
    await until('the read', () => reads.length === 1);
    reads[0]!.answer({ head: 10, rows: [rowsOf({})] });
    await first.ready;
    const { relations } = first.tab.member!;
    const extended = memory.extend(first.tab.member!, 2);
    // More than are kept: the oldest of them are forgotten before the earlier ones are there.
    for (let at = 0; at < 600; at += 1) pass('follow', at % 2 === 0);
    const { changesFrom } = relations;
    expect(changesFrom).to.be.above(10);
    relations.extend(2, 10, []);
    expect(relations.changesFrom).to.equal(changesFrom);
    await extended;
    expect(relations.changesFrom).to.equal(2);
  });
});
