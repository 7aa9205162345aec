import axe, { type AxeResults } from 'axe-core';
import { expect } from 'chai';
import { isDeepStrictEqual } from 'node:util';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { type WatchedPage, watchedPage } from './browser.ts';
import { until } from './waiting.ts';
import { PASSWORD } from './world.ts';

/** What the browser itself writes into the console when a request fails, whatever the page makes of that. */
const NETWORK = /^Failed to load resource|^WebSocket connection to/;

/**
 * Waits until what is read of a page is this: what a click does is drawn some time after it.
 * @throws with what it was instead
 */
export async function comesToBe<T>(read: () => Promise<T>, expected: T): Promise<void> {
  let seen: T | undefined;
  await until('the page', async () => isDeepStrictEqual((seen = await read()), expected)).catch(
    () => undefined,
  );
  expect(seen).to.deep.equal(expected);
}

/** Somebody who looks at the page in a browser of their own. */
export class Reader {
  readonly page: Page;
  readonly name: string;
  readonly email: string;
  readonly #watched: WatchedPage;

  private constructor(watched: WatchedPage, name: string) {
    this.#watched = watched;
    this.page = watched.page;
    this.name = name;
    this.email = `${name}@example.org`;
  }

  /** Opens the page; nobody is logged in yet. */
  static async open(
    browser: Browser,
    url: string,
    name: string,
    options?: BrowserContextOptions,
  ): Promise<Reader> {
    const watched = await watchedPage(browser, url, options);
    await watched.page.goto(url);
    return new Reader(watched, name);
  }

  async signUp(): Promise<void> {
    await this.page.getByLabel('Name').fill(this.name);
    await this.page.getByLabel('E-mail').fill(this.email);
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await this.page.getByRole('button', { name: 'Sign up' }).click();
    await this.live();
  }

  async logIn(email = this.email): Promise<void> {
    await this.page.getByRole('button', { name: 'Returning' }).click();
    await this.page.getByLabel('E-mail').fill(email);
    await this.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await this.page.getByRole('button', { name: 'Log in' }).click();
    await this.live();
  }

  /** @throws unless axe finds nothing at all that keeps anybody out of what is shown */
  async expectKeepsNobodyOut(what?: string): Promise<void> {
    await this.page.evaluate(axe.source);
    const { violations, passes } = await this.page.evaluate<AxeResults>(
      "axe.run({ resultTypes: ['violations'] })",
    );
    expect(passes).not.to.be.empty;
    expect(
      violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
      what,
    ).to.deep.equal([]);
  }

  /** Waits until the page says that it is live. */
  async live(within = 30_000): Promise<void> {
    await this.page.locator('.connection.live').waitFor({ timeout: within });
  }

  /**
   * To where new posts come in by themselves, with none waiting behind the pill. A click may have scrolled the page: the browser's
   * driver brings what it clicks into view.
   */
  async goToTop(): Promise<void> {
    // In one step: it may be gone the moment after it was seen.
    await this.page.evaluate('document.querySelector(".pill")?.click()');
    await this.page.evaluate('scrollTo({ top: 0, behavior: "instant" })');
    await this.lookAway();
  }

  /** Until a post has come in, which waits behind the pill where posts come in fast. */
  async comesIn(title: string): Promise<void> {
    await until(`“${title}” to come in`, async () => {
      await this.goToTop();
      return (await this.post(title).count()) === 1;
    });
  }

  /** Waits until the place where the page stands is the one that Back or a reload would lead to. */
  async placeIsKept(): Promise<void> {
    await until('the place to be kept', () =>
      this.page.evaluate<boolean>(`(() => {
        const { post, offset } = history.state?.anchor ?? {};
        const kept = document.querySelector('[data-post="' + post + '"]');
        return kept !== null && Math.abs(kept.getBoundingClientRect().top - offset) < 1;
      })()`),
    );
  }

  /** Takes the pointer and the focus out of the list: while they are in it, new posts wait. */
  async lookAway(): Promise<void> {
    await this.page.mouse.move(2, 2);
    await this.page.evaluate('document.activeElement.closest(".entries") && document.activeElement.blur()');
  }

  /** Goes to another window, and later comes back. The browser's driver shows all windows at once. */
  async turnAway(away: boolean): Promise<void> {
    await this.page.evaluate(
      `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${away} });
      document.dispatchEvent(new Event('visibilitychange'))`,
    );
  }

  post(title: string): Locator {
    return this.page.locator('.post', { has: this.page.getByRole('heading', { name: title, exact: true }) });
  }

  votes(title: string): Locator {
    return this.post(title).locator('.vote');
  }

  async write(title: string, content = '', deed = 'Publish'): Promise<void> {
    const composer = this.page.getByRole('form', { name: 'A new post' });
    await composer.getByLabel('Title').fill(title);
    await composer.getByLabel('Text').fill(content);
    await composer.getByRole('button', { name: deed }).click();
    await composer.getByLabel('Text').waitFor({ state: 'detached' });
    await this.lookAway();
  }

  async delete(title: string): Promise<void> {
    await this.post(title).getByRole('button', { name: 'Delete' }).click();
    await this.page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  }

  /** The titles on the page, from top to bottom. */
  titles(): Promise<string[]> {
    return this.page.locator('.post h2').allTextContents();
  }

  /** Until a locator's number of matches is this. */
  async shows(locator: Locator, count = 1, within = 30_000): Promise<void> {
    const { page } = this;
    const deadline = Date.now() + within;
    while ((await locator.count()) !== count) {
      if (Date.now() > deadline) {
        const shown = (await this.titles()).join(' | ');
        throw new Error(
          `${await locator.count()} of ${locator.toString()} instead of ${count}; shown: ${shown}`,
        );
      }
      await page.waitForTimeout(25);
    }
  }

  /** Nothing went wrong unseen: no error, no breach of the policy, no request to elsewhere. Forgets what it has looked at. */
  expectClean({ networkMayFail = false } = {}): void {
    const errors = this.#watched.errors.splice(0);
    expect(networkMayFail ? errors.filter((error) => !NETWORK.test(error)) : errors).to.deep.equal([]);
    expect(this.#watched.external.splice(0)).to.deep.equal([]);
  }

  async leave(): Promise<void> {
    await this.page.context().close();
  }
}
