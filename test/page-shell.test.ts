import { expect } from 'chai';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchBrowser } from './support/browser.ts';
import { buildPage } from './support/built-page.ts';
import { PageBuilds } from './support/page-builds.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type World } from './support/world.ts';

describe('the installed page', () => {
  let world: World;
  let browser: Browser;
  let builds: PageBuilds;
  let context: BrowserContext;
  let page: Page;
  const errors: string[] = [];

  before(async function () {
    this.timeout(240_000);
    await buildPage();
    [world, browser] = await Promise.all([createWorld(), launchBrowser()]);
    builds = new PageBuilds(world.url);
    await builds.start();
    context = await browser.newContext({ serviceWorkers: 'allow', viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(error.message));
  });
  after(async () => {
    await browser?.close();
    await builds?.stop();
    await world?.close();
  });

  /** All that the browser keeps for the page, as paths. */
  const kept = () =>
    page.evaluate<Record<string, string[]>>(`(async () => {
      const all = {};
      for (const name of await caches.keys()) {
        const requests = await (await caches.open(name)).keys();
        all[name] = requests.map(({ url }) => new URL(url).pathname).sort();
      }
      return all;
    })()`);
  const build = () =>
    page.evaluate<string | null>('document.querySelector("meta[name=build]")?.content ?? null');

  it('has a manifest whose icons are there, one of which may be cut to any shape', async () => {
    const html = await (await fetch(world.url, { headers: { accept: 'text/html' } })).text();
    expect(html).to.include('<link rel="manifest" href="/manifest.webmanifest"');
    const answer = await fetch(`${world.url}/manifest.webmanifest`);
    expect(answer.headers.get('content-type')).to.match(/^application\/manifest\+json/);
    expect(answer.headers.get('cache-control')).to.equal('no-cache');
    const { icons, ...manifest } = (await answer.json()) as {
      icons: { src: string; sizes: string; purpose: string }[];
    };
    expect(manifest).to.include({ id: '/', name: 'Tidings', start_url: '/', display: 'standalone' });
    expect(icons.map(({ sizes, purpose }) => `${sizes} ${purpose}`)).to.deep.equal([
      '192x192 any',
      '512x512 any',
      '512x512 maskable',
    ]);
    for (const { src, sizes } of icons) {
      const icon = Buffer.from(await (await fetch(world.url + src)).arrayBuffer());
      expect(icon.subarray(1, 4).toString()).to.equal('PNG');
      expect(`${icon.readUInt32BE(16)}x${icon.readUInt32BE(20)}`).to.equal(sizes);
    }
  });

  it('keeps its own files, and nothing that the service has answered', async () => {
    await page.goto(builds.url);
    await until('the service worker', () =>
      page.evaluate<boolean>('navigator.serviceWorker.controller !== null'),
    );
    await page.getByLabel('Name').fill('alice');
    await page.getByLabel('E-mail').fill('alice@example.org');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.locator('.connection.live').waitFor();
    await page.reload();
    await page.locator('.connection.live').waitFor();
    const [files = [], ...others] = Object.values(await kept());
    expect(others).to.deep.equal([]);
    const [first, ...assets] = files;
    expect(first).to.equal('/');
    expect(assets.some((path) => path.endsWith('.js'))).to.equal(true);
    for (const path of assets) expect(path).to.match(/^\/assets\/[\w-]+-[\w-]{8}\.(?:js|css|svg)$/);
    expect(errors).to.deep.equal([]);
  });

  it('opens while the server cannot be reached, says so, shows nothing, and goes on by itself', async () => {
    await builds.stop();
    await page.goto(`${builds.url}/notifications`);
    await page.getByText('The server cannot be reached. Trying again…').waitFor();
    expect(await page.locator('.post, .notifications, .account').count()).to.equal(0);
    // What is no place of the page is not there.
    const other = await context.newPage();
    expect(
      await other.goto(`${builds.url}/docs`).then(
        () => 'there',
        () => 'away',
      ),
    ).to.equal('away');
    await other.close();
    await builds.start();
    await page.locator('.connection.live').waitFor();
    await page.getByRole('heading', { name: 'Notifications' }).waitFor();
  });

  it('is the build that is served, at once, and is kept as that', async () => {
    expect(await build()).to.equal(null);
    const [before] = Object.keys(await kept());
    await builds.serveLater();
    await page.reload();
    expect(await build()).to.equal('later');
    await page.locator('.connection.live').waitFor();
    await until('the later build alone', async () => {
      const names = Object.keys(await kept());
      return names.length === 1 && names[0] !== before;
    });
    await builds.stop();
    await page.reload();
    await page.getByText('The server cannot be reached. Trying again…').waitFor();
    expect(await build()).to.equal('later');
    await builds.start();
    await page.locator('.connection.live').waitFor();
    expect(errors).to.deep.equal([]);
  });
});
