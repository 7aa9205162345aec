import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import fc from 'fast-check';
import { RingBuffer } from '../server/log/ring-buffer.ts';
import type { LogEntry } from '../server/log/reader.ts';
import { postEntry } from './support/log-entries.ts';

/** An event of a post as the log has it. */
function entry(seq: number, postId = seq, name = 'post:created', text = 'text'): LogEntry {
  const post = { id: postId, title: `title ${text}`, content: text, owner: { id: 1, username: 'alice' } };
  return postEntry(seq, {
    name,
    postId,
    json: JSON.stringify(name === 'post:deleted' ? { id: postId } : post),
  });
}

describe('the ring of the newest events', () => {
  it('serves from any position exactly what follows it, or says that it does not reach that far', () => {
    const inputs = [
      fc.nat(5000),
      fc.nat(3000),
      fc.integer({ min: 1, max: 600 }),
      fc.nat(3500),
      fc.nat(50),
    ] as const;
    fc.assert(
      fc.property(...inputs, (position, pushed, most, back, limit) => {
        const ring = new RingBuffer(position, most, Infinity);
        for (let seq = position + 1; seq <= position + pushed; seq += 1) ring.push(entry(seq));
        expect(ring.last).to.equal(position + pushed);
        expect(ring.last - ring.floor).to.equal(Math.min(pushed, most));
        const after = ring.last - back;
        const served = ring.after(after, limit);
        if (after < ring.floor) expect(served).to.be.undefined;
        else {
          const expected = Array.from({ length: Math.min(limit, back) }, (_, at) => after + 1 + at);
          expect(served?.map(({ seq }) => seq)).to.deep.equal(expected);
        }
        expect(ring.after(ring.last + 7)).to.deep.equal([]);
      }),
      { numRuns: 60 },
    );
  });

  it('takes nothing but the next event', () => {
    const ring = new RingBuffer(10, 100, Infinity);
    for (const seq of [10, 12, 9, 0, Number.NaN])
      expect(() => ring.push(entry(seq)), String(seq)).to.throw('follow');
    ring.push(entry(11));
    expect(() => ring.push(entry(11))).to.throw('follow');
    expect(ring.after(10)).to.have.lengthOf(1);
  });

  it('lets go of what it drops, but for an eighth', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const ring = new RingBuffer(0, 1000, Infinity);
    const pushed: WeakRef<LogEntry>[] = [];
    for (let seq = 1; seq <= 10_000; seq += 1) {
      const one = entry(seq);
      pushed.push(new WeakRef(one));
      ring.push(one);
    }
    // A reference that has just been made is strong until then.
    await new Promise((resolve) => setTimeout(resolve));
    collectGarbage();
    expect(pushed.filter((ref) => ref.deref() !== undefined)).to.have.length.within(1000, 1200);
    expect(ring.after(9000)).to.have.lengthOf(1000);
  });

  it('keeps to its bound in bytes, but always the newest event', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2000), { minLength: 1, maxLength: 200 }), fc.nat(20_000), (sizes, most) => {
        const ring = new RingBuffer(0, Infinity, most);
        for (const [at, size] of sizes.entries()) {
          ring.push(entry(at + 1, at + 1, 'post:created', 'x'.repeat(size)));
          const kept = ring.after(ring.floor) ?? [];
          const bytes = kept.reduce((sum, { json }) => sum + json.length, 0);
          expect(kept.at(-1)?.seq).to.equal(at + 1);
          if (kept.length > 1) expect(bytes).to.be.at.most(most);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('tells two entities of different kinds apart that have one number', () => {
    const ring = new RingBuffer(0, 40, Infinity);
    const text = '{"id":5,"note":"kept"}';
    ring.push({ ...postEntry(1, { postId: 5, json: text }), entityType: 'report', redaction: ['note'] });
    ring.push(postEntry(2, { postId: 5 }));
    expect(ring.after(0, 1)?.[0]?.json).to.equal(text);
    ring.push({ ...postEntry(3, { postId: 5 }), entityType: 'report' });
    expect(ring.after(0, 1)?.[0]?.json).to.equal('{"id":5,"note":"","redacted":true}');
  });

  it('never serves a text that a later event of its post took out, and leaves every other alone', () => {
    const kind = fc.constantFrom('post:created' as const, 'post:updated' as const, 'post:deleted' as const);
    const events = fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), kind), { maxLength: 60 });
    fc.assert(
      fc.property(events, (history) => {
        const ring = new RingBuffer(0, 40, Infinity);
        for (const [at, [postId, name]] of history.entries())
          ring.push(entry(at + 1, postId, name, `text ${at + 1}`));
        for (const { seq, entityId: postId, name, json } of ring.after(ring.floor) ?? []) {
          const superseded = history.some(([id], at) => id === postId && at + 1 > seq);
          const told = JSON.parse(json) as { id: number; content?: string; redacted?: true };
          expect(told.id).to.equal(postId);
          if (name === 'post:deleted') expect(json).to.equal(`{"id":${postId}}`);
          else if (superseded) {
            expect(told.redacted).to.be.true;
            expect(json).not.to.include('text').and.not.include('alice');
          } else expect(told.content).to.equal(`text ${seq}`);
        }
      }),
      { numRuns: 200 },
    );
  });
});
