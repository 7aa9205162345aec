import { expect } from 'chai';
import type { PostAnswer } from '../server/posts/present.ts';
import { faultsOf } from './support/problems.ts';
import { type Heard, readyOf, record } from './support/sockets.ts';
import { rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { createWorld, type TestUser, type World } from './support/world.ts';

/** Texts that something on the way could trim, normalise, escape, cut or reorder. */
const texts: Record<string, { title: string; content: string }> = {
  'CR, LF and both': { title: 'a\r\nb\rc\nd', content: '\r\n\r\n text \n\r' },
  'space at both ends': { title: '  \t a \t  ', content: ' \u00a0\u2003\ufeff' },
  'right-to-left marks and overrides': {
    title: '\u200f\u202eevil\u202c\u2067x\u2069',
    content: 'שלום \u061c مرحبا \u202d',
  },
  'ten thousand combining marks': { title: 'e\u0301\u0327', content: `Z${'\u0335'.repeat(9999)}` },
  'composed and decomposed letters': { title: '\u00e9 e\u0301', content: '\u1e9b\u0323 \ufb01 \u2126' },
  markup: {
    title: '<script>alert(1)</script>',
    content: '"><img src=x onerror=alert(1)>&lt;&amp;\u2028\u2029]]>',
  },
  'what statements and templates are made of': {
    title: "'; drop table posts; -- $1 :title ? %s %_",
    content: '\\ \\\\ \\u0000 \\0 $$ ${x} {{x}} \b\f\v\u001b[31m\u007f',
  },
  'control characters': {
    title: '\u0001\u001f\u0085x',
    content: Array.from({ length: 31 }, (_, at) => String.fromCharCode(at + 1)).join(''),
  },
  'noncharacters and private use': {
    title: '\ufffe\uffff\ufffd\ue000',
    content: '\u{1fffe}\u{10ffff}\u{f0000}',
  },
  'as many emoji as a title holds': {
    title: '😀'.repeat(200),
    content: '👩‍👩‍👧‍👦🏳️‍🌈'.repeat(700),
  },
  'as many characters of four bytes as a post holds': {
    title: '𝔗',
    content: '😀'.repeat(10_000),
  },
};

describe('text', () => {
  let world: World;
  let ada: TestUser;
  let heard: Heard[];
  before(async () => {
    world = await createWorld();
    ada = await world.user();
    const socket = world.socket({ token: ada.token });
    heard = record(socket);
    await readyOf(socket);
  });
  after(() => world.close());

  for (const [what, text] of Object.entries(texts))
    it(`of ${what} comes back byte for byte, from REST, the socket, the log and the database`, async () => {
      const written = await ada.post<PostAnswer>('/posts', text);
      expect(written.status, JSON.stringify(written.body)).to.equal(201);
      const { id } = written.body;
      const read = await ada.get<PostAnswer>(`/posts/${id}`);
      const list = await ada.get<PostAnswer[]>('/posts?limit=1');
      await until('the event', () => heard.some(({ post }) => post.id === id));
      const told = heard.find(({ post }) => post.id === id)!;
      const log = await ada.get<{ events: { data: { title: string; content: string } }[] }>(
        `/events?after=${told.seq - 1}&limit=1`,
      );
      const [row] = await rows<{ title: string; content: string }>(
        world,
        `select encode(convert_to(title, 'UTF8'), 'hex') as title, encode(convert_to(content, 'UTF8'), 'hex') as content
         from posts where id = $1`,
        [id],
      );
      const hex = (value: string | undefined) => Buffer.from(value ?? '').toString('hex');
      for (const [where, found] of Object.entries({
        'the answer': written.body,
        'GET /posts/:id': read.body,
        'GET /posts': list.body[0],
        'the socket': told.post,
        'GET /events': log.body.events[0]?.data,
      })) {
        expect(hex(found?.title ?? undefined), where).to.equal(hex(text.title));
        expect(hex(found?.content), where).to.equal(hex(text.content));
      }
      expect(row).to.deep.equal({ title: hex(text.title), content: hex(text.content) });
    });

  it('is counted in characters, as the document and the database count it', async () => {
    expect(faultsOf(await ada.post('/posts', { title: '😀'.repeat(201), content: '' }))).to.deep.equal([
      'body.title',
    ]);
    expect(faultsOf(await ada.post('/posts', { title: 'x', content: '😀'.repeat(10_001) }))).to.deep.equal([
      'body.content',
    ]);
    // Four characters, though JavaScript counts eight.
    expect(
      faultsOf(await world.anonymous.post('/users', { email: 'short@example.org', password: '😀😀😀😀' })),
    ).to.deep.equal(['body.password']);
    const search = await ada.get(`/posts?search=${encodeURIComponent('😀'.repeat(200))}`);
    expect(search.status).to.equal(200);
  });
});
