import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import axe, { type AxeResults } from 'axe-core';
import { expect } from 'chai';
import type { Browser, Page, Response } from 'playwright-core';
import { documentAssets, readAsset } from '../server/docs/document-assets.ts';
import { launchBrowser, type WatchedPage, watchedPage } from './support/browser.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

const ARTEFACTS = join(import.meta.dirname, 'artefacts');

describe('the pages of the documents', () => {
  let world: World;
  let alice: TestUser;
  let browser: Browser;

  before(async () => {
    await mkdir(ARTEFACTS, { recursive: true });
    world = await createWorld();
    alice = await world.user('alice');
    browser = await launchBrowser();
  });
  after(async () => {
    await browser.close();
    await world.close();
  });

  /** Opens a page, does something there, and holds it to what every page promises: nothing from elsewhere, no violation. */
  async function visit(
    path: string,
    act: (page: Page, watched: WatchedPage) => Promise<void>,
  ): Promise<void> {
    const watched = await watchedPage(browser, world.url);
    try {
      await watched.page.goto(world.url + path);
      await act(watched.page, watched);
      expect(watched.external).to.deep.equal([]);
      expect(watched.errors).to.deep.equal([]);
    } finally {
      await watched.page.screenshot({ path: join(ARTEFACTS, `page${path.replace('/', '-')}.png`) });
      await watched.page.context().close();
    }
  }

  it('try the API out at /docs, after logging in there', () =>
    visit('/docs', async (page) => {
      await page.getByText('A page of the feed').waitFor();
      await page.screenshot({ path: join(ARTEFACTS, 'docs-top.png') });

      await page.getByRole('button', { name: 'Authorize' }).first().click();
      // What one logs in with is first.
      const dialog = page.locator('.auth-container').first();
      await dialog.getByText('OAuth2, password').first().waitFor();
      await dialog
        .locator('input[name="username"], #oauth_username, #password_username')
        .first()
        .fill(alice.email);
      await dialog.locator('input[type="password"]').first().fill(PASSWORD);
      const login = page.waitForResponse((response) => response.url().endsWith('/login'));
      await dialog.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click();
      expect((await login).status()).to.equal(200);
      await dialog.getByRole('button', { name: 'Remove authorization' }).waitFor();
      await page.screenshot({ path: join(ARTEFACTS, 'docs-authorized.png') });
      await page.locator('.modal-ux .btn-done').first().click();

      const operation = page.locator('#operations-Posts-postPosts');
      await operation.locator('.opblock-summary-control').click();
      await operation.getByRole('button', { name: 'Try it out' }).click();
      const post = page.waitForResponse((response) => response.url().endsWith('/posts'));
      await operation.getByRole('button', { name: 'Execute' }).click();
      const answer = await post;
      expect(answer.status()).to.equal(201);
      expect(await answer.json()).to.include({ owner_id: alice.id, title: 'Hello' });
      await operation.locator('.live-responses-table').getByText('201', { exact: true }).waitFor();
      await operation.locator('.live-responses-table').scrollIntoViewIfNeeded();
    }));

  it('try out what /docs fills in by itself: sign up, log in, and post twice', async () => {
    // A server of its own: the examples are those of a user who is not there yet.
    const fresh = await createWorld();
    const watched = await watchedPage(browser, fresh.url);
    const { page } = watched;
    const execute = async (id: string, path: string): Promise<Response> => {
      const operation = page.locator(`#operations-${id}`);
      const answer = page.waitForResponse((response) => response.url() === fresh.url + path);
      await operation.getByRole('button', { name: 'Execute' }).click();
      return answer;
    };
    const open = async (id: string) => {
      const operation = page.locator(`#operations-${id}`);
      await operation.locator('.opblock-summary-control').click();
      await operation.getByRole('button', { name: 'Try it out' }).click();
      return operation;
    };
    try {
      await page.goto(`${fresh.url}/docs`);
      await open('Users-postUsers');
      expect((await execute('Users-postUsers', '/users')).status()).to.equal(201);
      await open('Sessions-postLogin');
      const login = await execute('Sessions-postLogin', '/login');
      expect(login.status(), await login.text()).to.equal(200);
      const { access_token: token } = (await login.json()) as { access_token: string };

      await page.getByRole('button', { name: 'Authorize' }).first().click();
      const dialog = page.locator('.auth-container', { hasText: 'bearer' }).first();
      await dialog.locator('input').first().fill(token);
      await dialog.getByRole('button', { name: 'Apply credentials' }).click();
      await page.locator('.modal-ux .btn-done').first().click();
      const operation = await open('Posts-postPosts');
      expect((await execute('Posts-postPosts', '/posts')).status()).to.equal(201);
      await operation.locator('textarea').first().fill('{"title": "Another", "content": ""}');
      expect((await execute('Posts-postPosts', '/posts')).status()).to.equal(201);
      await open('Users-deleteUsersMe');
      expect((await execute('Users-deleteUsersMe', '/users/me')).status()).to.equal(403);
      expect(watched.external).to.deep.equal([]);
    } finally {
      await page.screenshot({ path: join(ARTEFACTS, 'docs-examples.png') });
      await page.context().close();
      await fresh.close();
    }
  });

  it('read the API at /redoc, and search in it', () =>
    visit('/redoc', async (page) => {
      await page.getByRole('heading', { name: 'Publish a post, or write a draft' }).waitFor();
      // The index of the search is the worker's work.
      await page.getByPlaceholder('Search...').fill('vote');
      await page.locator('[data-role="search:results"]').getByText('Vote for a post (idempotent)').click();
      await page.getByRole('heading', { name: 'Vote for a post (idempotent)' }).waitFor();
    }));

  it('read the socket side at /asyncapi', () =>
    visit('/asyncapi', async (page) => {
      await page.getByText('Tallies that changed').first().waitFor();
      for (const name of ['post:created', 'session:closed', 'track', 'connect_error']) {
        expect(await page.getByText(name, { exact: true }).count(), name).to.be.greaterThan(0);
      }
      await page.screenshot({ path: join(ARTEFACTS, 'asyncapi-top.png') });
      await page.getByText('A post became visible').first().scrollIntoViewIfNeeded();
    }));

  it('would see a request elsewhere and a violation of the policy', async () => {
    const { page, external, errors } = await watchedPage(browser, world.url);
    await page.goto(`${world.url}/docs`);
    await page.evaluate(`
      const script = document.createElement('script');
      script.textContent = 'globalThis.inline = true';
      document.body.append(script);
    `);
    await until('the violation', () => errors.join().includes('Content Security Policy'));
    await page.goto('http://elsewhere.invalid/').catch(() => undefined);
    expect(external).to.deep.equal(['http://elsewhere.invalid/']);
    await page.context().close();
  });

  it('keep the strict policy, but for what one of them needs', async () => {
    const policyOf = async (path: string) => {
      const { headers } = await world.anonymous.get<string>(path);
      const directives = (headers.get('content-security-policy') ?? '')
        .split(';')
        .map((text) => text.split(' '));
      return new Map(directives.map(([name = '', ...sources]) => [name, sources]));
    };
    const strict = await policyOf('/healthz');
    expect(strict.get('script-src')).to.deep.equal(["'self'"]);
    expect(strict.get('style-src')).to.deep.equal(["'self'"]);
    for (const path of ['/docs', '/asyncapi']) expect(await policyOf(path), path).to.deep.equal(strict);
    for (const [name, sources] of await policyOf('/redoc')) {
      expect(sources, name).not.to.include("'unsafe-inline'");
      expect(sources, name).not.to.include("'unsafe-eval'");
    }
  });

  it('lead to each other and back to the service, in the colours of the system', async () => {
    for (const path of ['/docs', '/redoc', '/asyncapi'] as const) {
      const { page, errors, external } = await watchedPage(browser, world.url, { colorScheme: 'dark' });
      await page.goto(world.url + path);
      const links = page.getByRole('navigation', { name: 'Documents' }).getByRole('link');
      expect(await Promise.all((await links.all()).map((link) => link.getAttribute('href')))).to.deep.equal([
        '/',
        '/docs',
        '/redoc',
        '/asyncapi',
      ]);
      expect(
        await page
          .getByRole('navigation', { name: 'Documents' })
          .locator('[aria-current]')
          .getAttribute('href'),
      ).to.equal(path);
      const heading = {
        '/docs': /^Tidings/,
        '/redoc': 'Publish a post, or write a draft',
        '/asyncapi': 'The service says',
      };
      await page.getByRole('heading', { name: heading[path] }).first().waitFor();
      const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      expect(background).to.equal('rgb(16, 23, 27)');
      await page.screenshot({ path: join(ARTEFACTS, `page${path.replace('/', '-')}-dark.png`) });
      expect([...errors, ...external]).to.deep.equal([]);
      await page.context().close();
    }
  });

  it('show the socket side without a script, and read well', async () => {
    const { body } = await world.anonymous.get<string>('/asyncapi');
    expect(body).not.to.include('<script');
    const { page } = await watchedPage(browser, world.url, { viewport: { width: 360, height: 740 } });
    await page.goto(`${world.url}/asyncapi`);
    expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(360);
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate<AxeResults>('axe.run()');
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).to.deep.equal([]);
    await page.context().close();
  });

  it('are asked again each time, and what they load never', async () => {
    for (const path of ['/docs', '/redoc', '/asyncapi', '/openapi.json', '/asyncapi.json']) {
      const first = await world.anonymous.get<unknown>(path);
      expect(first.headers.get('cache-control')).to.equal('no-cache');
      const ask = (etag: string) => world.anonymous.get(path, { 'if-none-match': etag });
      expect((await ask(first.headers.get('etag') ?? '')).status, path).to.equal(304);
      expect((await ask('"other"')).status, path).to.equal(200);
    }
    const { body } = await world.anonymous.get<string>('/redoc');
    const loaded = [...body.matchAll(/(?:src|href)="(\/documents\/[^"]+)"/g)].map(
      ([, address = '']) => address,
    );
    expect(loaded).to.have.lengthOf(3);
    for (const address of loaded) {
      const { status, headers } = await world.anonymous.get(address);
      expect(status, address).to.equal(200);
      expect(headers.get('cache-control'), address).to.include('immutable');
      const stale = await world.anonymous.get(address.replace(/v=.*/, 'v=older'));
      expect(stale.headers.get('cache-control'), address).to.equal('no-cache');
    }
    expect((await world.anonymous.get('/documents/package.json')).status).to.equal(404);
    expect((await world.anonymous.get('/documents/../app.ts')).status).to.equal(404);
  });

  it('are made of nothing that loads from elsewhere when asked to render', async () => {
    for (const asset of documentAssets) {
      const text = (await readAsset(asset)).toString();
      expect(text, asset).not.to.include('cdn.redoc.ly');
      expect(text, asset).not.to.match(/@import\s+(url\()?["']?https?:/);
    }
  });
});
