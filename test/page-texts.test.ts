import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { packageRoot } from '../server/paths.ts';
import { openPageWorld, type PageWorld } from './support/page-world.ts';
import { comesToBe, type Reader } from './support/reader.ts';
import type { TestUser } from './support/world.ts';

const ARTEFACTS = join(packageRoot, 'test/artefacts');

const MARKED = [
  'Some *emphasis*, **strength**, `code` and [a name](https://example.org/a_b_c) for @carol and #tags.',
  '',
  '> What somebody else said',
  '> in two lines',
  '',
  '- one',
  '- two',
  '',
  '```ts',
  `const long = '${'wide '.repeat(40)}';`,
  '```',
  '',
  '| town   | people |',
  '|--------|--------|',
  '| Bremen | 577000 |',
].join('\n');

describe('texts on the page', () => {
  let opened: PageWorld | undefined;
  let reader: Reader;
  let page: Page;
  let carol: TestUser;

  before(async function () {
    await mkdir(ARTEFACTS, { recursive: true });
    opened = await openPageWorld(this, async (world) => {
      carol = await world.user('carol');
      await carol.post('/posts', { title: 'Marked', content: MARKED });
    });
    ({ reader, page } = opened);
  });
  after(() => opened?.close());
  beforeEach(() => reader.goToTop());

  it('show what their writer has marked, and scroll wide code and tables instead of the page', async () => {
    await reader.post('Marked').getByRole('button', { name: 'More' }).click();
    const text = reader.post('Marked').locator('.text');
    const of = (selector: string) => text.locator(selector).allTextContents();
    expect(await of('em')).to.deep.equal(['emphasis']);
    expect(await of('strong')).to.deep.equal(['strength']);
    expect(await of(':not(pre) > code')).to.deep.equal(['code']);
    expect(await of('blockquote')).to.deep.equal(['What somebody else said\nin two lines']);
    expect(await of('li')).to.deep.equal(['one', 'two']);
    expect(await of('a')).to.deep.equal(['a name', '@carol', '#tags']);
    const link = text.getByRole('link', { name: 'a name' });
    expect(await link.getAttribute('href')).to.equal('https://example.org/a_b_c');
    expect(await link.getAttribute('rel')).to.equal('noopener nofollow ugc');
    const table = text.getByLabel('Table');
    expect(await table.textContent()).to.equal(MARKED.split('\n').slice(-3).join('\n'));
    const faces = await page.evaluate<string[]>(
      "[...document.querySelectorAll('.text code')].map((one) => getComputedStyle(one).fontFamily)",
    );
    expect(faces).to.have.length(3);
    for (const face of faces) expect(face).to.match(/monospace/);
    for (const width of [320, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${width}`).to.equal(
        true,
      );
      const scrolls =
        "document.querySelector('.text pre').scrollWidth > document.querySelector('.text pre').clientWidth";
      expect(await page.evaluate(scrolls), `${width}`).to.equal(true);
      await reader.expectKeepsNobodyOut(`${width}`);
      await page.screenshot({ path: join(ARTEFACTS, `texts-${width}.png`) });
    }
    await reader.post('Marked').getByRole('button', { name: 'Less' }).click();
    await page.screenshot({ path: join(ARTEFACTS, 'texts-folded.png') });
    reader.expectClean();
  });

  it('keep the sign of a mention or a tag at its name in a text from right to left', async () => {
    await carol.post('/posts', { title: 'مرحبا', content: 'شكرا @carol #tags' });
    const text = reader.post('مرحبا').locator('.text');
    await text.waitFor();
    const order = await page.evaluate<string[]>(`(() => {
      const drawn = [];
      for (const link of document.querySelectorAll('.post:first-child .text a'))
        for (let at = 0, node = link.firstChild; at < 2; at += 1) {
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + 1);
          drawn.push({ letter: node.data[at], left: range.getBoundingClientRect().left });
        }
      return drawn.sort((one, other) => one.left - other.left).map(({ letter }) => letter);
    })()`);
    expect(order).to.deep.equal(['#', 't', '@', 'c']);
    reader.expectClean();
  });

  it('are folded again to where their reader is', async () => {
    const line = `${'Some words. '.repeat(10)}\n\n`;
    await carol.post('/posts', { title: 'Long', content: line.repeat(80) });
    for (let number = 1; number <= 12; number += 1)
      await carol.post('/posts', { title: `Before ${number}`, content: '' });
    await page.reload();
    await reader.post('Long').getByRole('button', { name: 'More' }).click();
    const less = reader.post('Long').getByRole('button', { name: 'Less' });
    await less.scrollIntoViewIfNeeded();
    const before = (await less.boundingBox())?.y;
    await less.click();
    const more = reader.post('Long').getByRole('button', { name: 'More' });
    await more.waitFor();
    expect((await more.boundingBox())?.y).to.be.closeTo(before ?? 0, 2);
    await comesToBe(() => page.evaluate('document.activeElement.textContent'), 'More');
    reader.expectClean();
  });

  it('show hostile ones as they were typed', async () => {
    const hostile = [
      '<img src=x onerror=alert(1)> **bold <b onclick=alert(1)>x</b>.**',
      '[a](javascript:alert(1)) [b](data:text/html,<script>alert(1)</script>)',
      '`<script>alert(1)</script>` snake_case *.ts and *.js # no heading',
    ].join('\n');
    await carol.post('/posts', { title: 'Hostile', content: hostile });
    const text = reader.post('Hostile').locator('.text');
    await text.waitFor();
    expect(await text.textContent()).to.equal(hostile.replaceAll('**', '').replaceAll('`', ''));
    expect(await text.locator('a, img, script, b').count()).to.equal(0);
    expect(await text.locator('strong').textContent()).to.equal('bold <b onclick=alert(1)>x</b>.');
    reader.expectClean();
  });

  it('are searched by rules that are told, with the words marked that were found', async () => {
    await carol.post('/posts', { title: 'Café in Bremen', content: 'Open on *Sundays*, CAFE and cake' });
    await reader.post('Café in Bremen').waitFor();
    const search = page.getByRole('searchbox');
    const hint = page.getByText('Finds posts that have every word');
    expect(await hint.isVisible()).to.equal(false);
    await search.focus();
    await hint.waitFor();
    await page.screenshot({ path: join(ARTEFACTS, 'search-hint.png') });
    await search.fill('sun cafe');
    await page.getByText('1 post has both “sun” and “cafe”.').waitFor();
    expect(await hint.isVisible()).to.equal(false);
    expect(await reader.post('Café in Bremen').locator('mark').allTextContents()).to.deep.equal([
      'Café',
      'Sun',
      'CAFE',
    ]);
    await page.screenshot({ path: join(ARTEFACTS, 'search-found.png') });
    await search.fill('<img src=x> nothing');
    await page
      .getByText(
        'Nothing has all of “<img”, “src=x>” and “nothing”. Fewer words, or the beginnings of words, find more.',
      )
      .waitFor();
    await page.screenshot({ path: join(ARTEFACTS, 'search-nothing.png') });
    await reader.expectKeepsNobodyOut();
    await page.keyboard.press('Escape');
    await reader.post('Marked').waitFor();
    await reader.shows(page.locator('mark'), 0);
    reader.expectClean();
  });
});
