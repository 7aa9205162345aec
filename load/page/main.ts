import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core';
import { readCommandLine, UsageError } from '../../server/command-line.ts';
import { type Account, makeAccounts } from '../accounts.ts';
import { type Stage, withStage } from '../bench/stage.ts';
import { inLanes } from '../lanes.ts';
import { call } from '../rest.ts';

const usage = `Usage: npm run bench:page -- [options]

Holds the page against its bounds in Chromium, whose main thread is slowed down.

  --throttle N  how many times slower (4)
  --posts N     posts to scroll through (5000)
  --arrivals N  posts that come while one looks on (500)

The main thread is that of the page's process: its tasks (scripts, style, layout, paint) by the clock, and the processor time
that they took. By the clock they also wait for the rest of this machine: the server, its database and what writes the posts
run on it too. Chromium slows the main thread alone, by stopping it again and again; the compositor and the network are as
fast as ever, and there is no graphics processor. Beside it is a bare page: socket.io-client, which takes the same events apart
and does nothing with them.
`;

/** Posts a second that come while one looks on. */
const RATE = 27;
/** Loads of which the median counts. */
const LOADS = 5;
const PASSWORD = 'a password of the bench';

interface Figure {
  what: string;
  measured: number;
  unit: string;
  bound: string;
  /** Undefined where there is no bound. */
  holds: boolean | undefined;
}

/** Written into each document: what the browser tells of itself. */
const observing = `
  globalThis.seen = { lcp: 0, tasks: [], interactions: [] };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.lcp = entry.startTime;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seen.tasks.push(duration);
  }).observe({ type: 'longtask', buffered: true });
  new PerformanceObserver((list) => {
    for (const { interactionId, duration, name, target } of list.getEntries())
      if (interactionId) seen.interactions.push({ duration, what: name + ' ' + (target?.className || target?.localName) });
  }).observe({ type: 'event', buffered: true, durationThreshold: 16 });
`;

function readSizes(args: string[]): Sizes {
  const { values } = parseArgs({
    args,
    options: {
      throttle: { type: 'string', default: '4' },
      posts: { type: 'string', default: '5000' },
      arrivals: { type: 'string', default: '500' },
    },
  });
  const whole = (name: keyof Sizes) => {
    if (!/^[1-9]\d{0,8}$/.test(values[name])) throw new UsageError(`--${name} must be a whole number`);
    return Number(values[name]);
  };
  return { throttle: whole('throttle'), posts: whole('posts'), arrivals: whole('arrivals') };
}

async function main(): Promise<void> {
  const sizes = readCommandLine(usage, readSizes);
  const say = (what: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
  const figures = await withStage({ rounds: 1, scale: 1, say }, async (stage, endPart) => {
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    });
    try {
      return await measure(stage, browser, sizes);
    } finally {
      await browser.close();
      await endPart();
    }
  });
  for (const { what, measured, unit, bound, holds } of figures)
    process.stdout.write(
      `${holds === undefined ? '    ' : holds ? 'ok  ' : 'OVER'} ${what}: ${measured} ${unit} (${bound})\n`,
    );
  if (figures.some(({ holds }) => holds === false)) process.exitCode = 1;
}

interface Sizes {
  /** Times as slow as this machine. */
  throttle: number;
  posts: number;
  arrivals: number;
}

async function measure(stage: Stage, browser: Browser, sizes: Sizes): Promise<Figure[]> {
  const { url } = await stage.server(await stage.database());
  const [writer] = await makeAccounts(url, 1);
  if (!writer) throw new Error('There is no account to write with.');
  stage.say(`writing ${sizes.posts} posts`);
  await inLanes(sizes.posts, 8, (number) => write(url, writer, number));
  await call(url, 'POST', '/users', {
    body: { email: 'reader@example.org', password: PASSWORD, username: 'reader' },
  });
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    serviceWorkers: 'block',
  });
  await context.addInitScript(observing);
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: sizes.throttle });
  const at = `at 1/${sizes.throttle} of the speed`;
  const figures: Figure[] = [];
  const add = (what: string, measured: number, unit: string, most: number) =>
    figures.push({
      what,
      measured: Math.round(measured),
      unit,
      bound: `at most ${most}`,
      holds: measured <= most,
    });
  const compare = (what: string, measured: number, unit: string, bound = 'to compare with') =>
    figures.push({ what, measured: Math.round(measured), unit, bound, holds: undefined });

  stage.say('loading the page');
  add(`largest contentful paint of the first page ${at}`, await paint(page, url, '.welcome'), 'ms', 2500);
  await logIn(page);
  add(`largest contentful paint of the feed ${at}`, await paint(page, url, '.post'), 'ms', 2500);

  stage.say('using it');
  await use(page);
  const { duration, what } = await page.evaluate<{ duration: number; what: string }>(
    `seen.interactions.reduce((most, one) => (one.duration > most.duration ? one : most), { duration: 0, what: 'none' })`,
  );
  add(`longest interaction ${at}, ${what}`, duration, 'ms', 200);

  const writing = () =>
    inLanes(sizes.arrivals, 8, (number) => write(url, writer, number), { every: 1000 / RATE });
  const rates = [sizes.throttle, 1];
  for (const rate of rates) {
    const speed = rate === 1 ? 'at full speed' : at;
    stage.say(`${sizes.arrivals} posts come, ${RATE} a second, ${speed}`);
    const { busy, processor, longest } = await arrive(page, rate, writing);
    add(`main thread while ${sizes.arrivals} posts come ${speed}`, busy * 100, '%', 30);
    compare(`of which processor time ${speed}`, processor * 100, '%');
    add(`longest task meanwhile ${speed}`, longest, 'ms', 100);
  }

  stage.say('scrolling');
  const { posts, frames, late } = await scroll(page, sizes.posts);
  figures.push(
    {
      what: `posts scrolled at full speed`,
      measured: posts,
      unit: 'posts',
      bound: `at least ${sizes.posts}`,
      holds: posts >= sizes.posts,
    },
    {
      what: 'frames meanwhile',
      measured: Math.round(frames),
      unit: 'a second',
      bound: 'at least 50',
      holds: frames >= 50,
    },
  );
  process.stdout.write(`     of which later than 34 ms: ${late} %\n`);
  await context.close();

  const bare = await openBare(browser, url, writer);
  for (const rate of rates) {
    const speed = rate === 1 ? 'at full speed' : at;
    stage.say(`the same with a bare page, ${speed}`);
    const { busy, processor } = await arrive(bare, rate, writing);
    compare(`main thread of a bare page ${speed}`, busy * 100, '%');
    compare(`of which processor time ${speed}`, processor * 100, '%');
  }
  await bare.context().close();
  return figures;
}

async function write(url: string, { token }: Account, number: number): Promise<void> {
  const content = 'Some words of a post that is neither short nor long. '.repeat(1 + (number % 6));
  await call(url, 'POST', '/posts', { token, body: { title: `Post ${number}`, content } });
}

/** The median of some loads. Milliseconds. */
async function paint(page: Page, url: string, shown: string): Promise<number> {
  const times: number[] = [];
  for (let load = 0; load < LOADS; load += 1) {
    await page.goto(url);
    await page.locator(shown).first().waitFor();
    // What is painted later is told later.
    await page.waitForTimeout(1500);
    times.push(await page.evaluate<number>('seen.lcp'));
  }
  return times.sort((a, b) => a - b)[Math.floor(LOADS / 2)] ?? Number.NaN;
}

async function logIn(page: Page): Promise<void> {
  const returning = page.getByRole('button', { name: 'Returning' });
  if ((await returning.count()) > 0) await returning.click();
  await page.getByLabel('E-mail').fill('reader@example.org');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await page.locator('.connection.live').waitFor();
}

/** What somebody does with the page in a minute. */
async function use(page: Page): Promise<void> {
  const vote = page.locator('.post .vote');
  for (let number = 0; number < 5; number += 1) await vote.nth(number).click();
  await page.getByLabel('Title').click();
  await page.keyboard.type('A thought', { delay: 60 });
  await page.getByLabel('Text').click();
  await page.keyboard.type('and more of it', { delay: 60 });
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.locator('.post h2 a').first().click();
  await page.locator('.post.root').waitFor();
  await page.goBack();
  await page.locator('.entries').waitFor();
  await page.getByRole('searchbox').click();
  await page.keyboard.type('Post 12', { delay: 80 });
  await page.getByRole('heading', { name: 'Posts with' }).waitFor();
  await page.keyboard.press('Escape');
  for (const place of ['Top', 'New', 'Home', 'Everyone', 'Notifications', 'Drafts', 'Your account']) {
    await page.getByRole('link', { name: place }).first().click();
    await page.waitForTimeout(400);
  }
  await page.getByRole('link', { name: 'Everyone' }).first().click();
  await page.locator('.entries').waitFor();
  for (const key of ['j', 'j', 'k', 'v', 'v']) await page.keyboard.press(key, { delay: 50 });
  await page.waitForTimeout(1000);
}

/** What the main thread did meanwhile: shares of it, and its longest task in milliseconds. */
interface Load {
  busy: number;
  processor: number;
  longest: number;
}

/** Looks on at the top, with a main thread so many times slower. */
async function arrive(page: Page, rate: number, act: () => Promise<void>): Promise<Load> {
  const [clock, processor] = [
    await page.context().newCDPSession(page),
    await page.context().newCDPSession(page),
  ];
  await clock.send('Performance.enable', { timeDomain: 'timeTicks' });
  await processor.send('Performance.enable', { timeDomain: 'threadTicks' });
  await clock.send('Emulation.setCPUThrottlingRate', { rate });
  await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
  await page.mouse.move(2, 2);
  await page.waitForTimeout(1000);
  await page.evaluate('seen.tasks.length = 0');
  const tasks = async (session: CDPSession) => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
  };
  const before = [await tasks(clock), await tasks(processor)] as const;
  const began = performance.now();
  await act();
  const after = [await tasks(clock), await tasks(processor)] as const;
  const seconds = (performance.now() - began) / 1000;
  await clock.send('Emulation.setCPUThrottlingRate', { rate: 1 });
  return {
    busy: (after[0] - before[0]) / seconds,
    processor: (after[1] - before[1]) / seconds,
    longest: await page.evaluate<number>('Math.max(0, ...seen.tasks)'),
  };
}

/** A page with the stock client of Socket.IO alone, which hears the same events. */
async function openBare(browser: Browser, url: string, { token }: Account): Promise<Page> {
  const context = await browser.newContext({ serviceWorkers: 'block', bypassCSP: true });
  await context.addInitScript(observing);
  const page = await context.newPage();
  await page.goto(`${url}/robots.txt`);
  const library = dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json'));
  await page.addScriptTag({ path: join(library, 'dist/socket.io.min.js') });
  const auth = JSON.stringify({ token, topics: ['feed'], tallies: 'none' });
  await page.evaluate(`new Promise((resolve) => {
    const socket = io({ transports: ['websocket'], auth: ${auth} });
    socket.onAny((name) => name === 'ready' && resolve());
  })`);
  return page;
}

/** Scrolls to the end and back, by as much in each frame. @returns the posts that were there, and frames in a second */
async function scroll(page: Page, most: number): Promise<{ posts: number; frames: number; late: number }> {
  return page.evaluate<{ posts: number; frames: number; late: number }>(`(async () => {
    const step = 160;
    const times = [];
    let posts = 0;
    let before = await new Promise(requestAnimationFrame);
    let stillSince = before;
    for (;;) {
      const from = scrollY;
      scrollBy({ top: step, behavior: 'instant' });
      const now = await new Promise(requestAnimationFrame);
      times.push(now - before);
      before = now;
      if (scrollY > from) stillSince = now;
      for (const post of document.querySelectorAll('.post:last-of-type'))
        posts = Math.max(posts, Number(post.getAttribute('aria-posinset')));
      if (posts >= ${most} || now - stillSince > 5000) break;
    }
    while (scrollY > 0 && times.length < 60000) {
      scrollBy({ top: -3 * step, behavior: 'instant' });
      const now = await new Promise(requestAnimationFrame);
      times.push(now - before);
      before = now;
    }
    const all = times.reduce((sum, time) => sum + time, 0);
    const late = times.filter((time) => time > 34).length;
    return { posts, frames: (times.length / all) * 1000, late: Math.round((late / times.length) * 1000) / 10 };
  })()`);
}

await main();
