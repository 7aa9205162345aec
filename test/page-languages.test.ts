import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import type { PostAnswer } from '../server/posts/present.ts';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { comesToBe, Reader } from './support/reader.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const ARTEFACTS = join(packageRoot, 'test/artefacts');

describe('the languages of the page', () => {
  let world: World;
  let browser: Browser;
  let carol: TestUser;

  before(async function () {
    this.timeout(240_000);
    await buildPage();
    await mkdir(ARTEFACTS, { recursive: true });
    [world, browser] = await Promise.all([createWorld(), launchBrowser()]);
    carol = await world.user('carol');
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });

  /** On a narrow page the name of the house ends before, or above, the light of the connection, and no word of a post is cut off. */
  const expectRoom = async ({ page }: Reader, what: string) => {
    const covered = await page.evaluate<string[]>(
      `(() => {
        const { left, top } = document.querySelector('.connection .light').getBoundingClientRect();
        const parts = [...document.querySelectorAll('.masthead > *')].map((one) => one.getBoundingClientRect());
        return parts.filter((one) => one.right > left && one.bottom > top).map((one) => one.right + ' > ' + left);
      })()`,
    );
    expect(covered, what).to.deep.equal([]);
    const cut = await page.evaluate<string[]>(
      `[...document.querySelectorAll('.post-actions')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText)`,
    );
    expect(cut, what).to.deep.equal([]);
  };
  const languageOf = ({ page }: Reader) => page.evaluate<string>('document.documentElement.lang');

  it('are that of the browser, with its plural forms and dates, and its words for what is wrong', async () => {
    const reader = await Reader.open(browser, world.url, 'greta', { locale: 'de-AT' });
    const { page } = reader;
    await comesToBe(() => languageOf(reader), 'de');
    await page.getByLabel('Name').fill('CAROL');
    await page.getByLabel('E-Mail').fill('keine');
    await page.getByRole('button', { name: 'Registrieren' }).click();
    await page.getByText('Das sieht nicht nach einer E-Mail-Adresse aus.').waitFor();
    await page.getByLabel('E-Mail').fill(reader.email);
    await page.getByLabel('Passwort', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Registrieren' }).click();
    await page.getByText('Dieser Name ist vergeben.').waitFor();
    await page.screenshot({ path: join(ARTEFACTS, 'german-welcome.png') });
    await reader.expectKeepsNobodyOut('the German form');
    await page.getByLabel('Name').fill('greta');
    await page.getByRole('button', { name: 'Registrieren' }).click();
    await reader.live();

    const post = (await carol.post<PostAnswer>('/posts', { title: 'Guten Morgen', content: 'Aus Bremen.' }))
      .body;
    await reader.post('Guten Morgen').getByRole('link', { name: 'Antworten', exact: true }).waitFor();
    await reader.post('Guten Morgen').getByText('jetzt').waitFor();
    await reader.votes('Guten Morgen').click();
    await comesToBe(() => reader.votes('Guten Morgen').getAttribute('aria-label'), 'Abstimmen, 1 Stimme');
    for (const words of ['1 Antwort', '2 Antworten']) {
      await carol.post(`/posts/${post.id}/replies`, { content: 'Noch etwas.' });
      await reader.post('Guten Morgen').getByRole('link', { name: words, exact: true }).waitFor();
    }
    const exact = await reader.post('Guten Morgen').locator('time').getAttribute('title');
    expect(exact).to.match(/^(Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag), \d+\. /);
    await page.getByLabel('Titel').fill('Von mir');
    await page.getByRole('button', { name: 'Veröffentlichen' }).click();
    await reader.post('Von mir').getByRole('button', { name: 'Löschen' }).waitFor();
    await page.getByRole('link', { name: 'Entwürfe' }).click();
    await comesToBe(() => page.title(), 'Entwürfe · Tidings');
    await page.getByRole('link', { name: 'Alle' }).click();
    for (const [width, colorScheme] of [
      [1280, 'light'],
      [1280, 'dark'],
      [360, 'dark'],
      [320, 'light'],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${width}`).to.equal(
        true,
      );
      if (width < 500) await expectRoom(reader, `${width}`);
      await page.screenshot({ path: join(ARTEFACTS, `german-${colorScheme}-${width}.png`) });
    }
    await reader.expectKeepsNobodyOut('the German feed');
    await page.context().setOffline(true);
    await page.locator('.connection.offline').waitFor();
    for (const width of [900, 640, 480, 360, 320]) {
      await page.setViewportSize({ width, height: 900 });
      await expectRoom(reader, `offline, ${width}`);
    }
    await page.context().setOffline(false);
    await reader.live();
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole('link', { name: 'Dein Konto' }).click();
    await page.getByRole('heading', { name: 'Konto löschen' }).waitFor();
    await page.screenshot({ path: join(ARTEFACTS, 'german-account.png'), fullPage: true });
    reader.expectClean({ networkMayFail: true }); // the browser notes what was refused
    await reader.leave();
  });

  it('say how long a limit lasts in the unit of the reader, and what helps against that of codes', async () => {
    const reader = await Reader.open(browser, world.url, 'ida', { locale: 'de-DE' });
    const { page } = reader;
    const answers = [
      [429, 'too_many_requests', 75],
      [403, 'otp_required', undefined],
      [429, 'too_many_requests', 86_400],
      [403, 'oidc_refused', undefined],
    ] as const;
    let asked = 0;
    await page.route('**/login', (route) => {
      const [status, code, wait] = answers[asked]!;
      asked += 1;
      return route.fulfill({
        status,
        contentType: 'application/problem+json',
        headers: wait === undefined ? {} : { 'Retry-After': `${wait}` },
        json: { type: `urn:tidings:problem:${code}`, title: 'Refused', status, detail: 'In English' },
      });
    });
    await page.getByRole('button', { name: 'Schon dabei' }).click();
    await page.getByLabel('E-Mail').fill(reader.email);
    await page.getByLabel('Passwort', { exact: true }).fill(PASSWORD);
    for (const words of [
      'So oft geht das nicht. Versuch es in 75 Sekunden noch einmal.',
      'Gib einen Code aus deiner Authenticator-App',
      'Versuch es in 24 Stunden noch einmal. Nach zu vielen falschen Codes kannst du einen',
      'Der Anbieter hat dich nicht angemeldet.',
    ]) {
      await page.getByRole('button', { name: 'Anmelden', exact: true }).click();
      await page.getByText(words).waitFor();
    }
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });

  it('are chosen in the menu, at once and for later visits', async () => {
    const reader = await Reader.open(browser, world.url, 'hilda', { locale: 'en-GB' });
    const { page } = reader;
    await reader.signUp();
    for (const width of [360, 320]) {
      await page.setViewportSize({ width, height: 740 });
      await expectRoom(reader, `${width}`);
      await page.screenshot({ path: join(ARTEFACTS, `english-${width}.png`) });
    }
    await page.getByLabel('Language').selectOption('Deutsch');
    await page.getByRole('link', { name: 'Alle' }).waitFor();
    expect(await languageOf(reader)).to.equal('de');
    await page.reload();
    await page.getByRole('link', { name: 'Alle' }).waitFor();
    await page.getByRole('button', { name: 'Abmelden' }).click();
    await page.getByRole('button', { name: 'Anmelden', exact: true }).waitFor();
    await page.getByLabel('Sprache').selectOption('English');
    await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
    expect(await languageOf(reader)).to.equal('en');
    reader.expectClean();
    await reader.leave();
  });

  it('are English for a browser with none of them, and where the other one cannot be loaded', async () => {
    const reader = await Reader.open(browser, world.url, 'irma', { locale: 'fr-FR' });
    const { page } = reader;
    expect(await languageOf(reader)).to.equal('en');
    await page.getByRole('button', { name: 'Sign up' }).waitFor();
    await page.route('**/assets/de-*.js', (route) => route.abort());
    await page.getByLabel('Language').selectOption('Deutsch');
    await page.getByText('The language could not be loaded.').waitFor();
    expect(await languageOf(reader)).to.equal('en');
    await comesToBe(() => page.getByLabel('Language').inputValue(), 'en');
    reader.expectClean({ networkMayFail: true });
    await reader.leave();
  });
});
