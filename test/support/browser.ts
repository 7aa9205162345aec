import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { HeldFrames } from './held-frames.ts';

/** The first is Chromium without windows, which takes two thirds of the CPU time. */
const NAMES = [
  'chromium-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
];

/** Nothing that a fresh Chromium does by itself reaches out of the machine. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * A real browser.
 * @throws with the one line to type where there is none
 */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await executable(), args: QUIET });
}

async function executable(): Promise<string> {
  const given = process.env.CHROMIUM_PATH;
  if (given !== undefined && given !== '') return given;
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const path = join(folder, name);
      const found = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return path;
    }
  }
  throw new Error(
    'No Chromium on the PATH. On Debian and Ubuntu: apt-get install -y chromium. Elsewhere set CHROMIUM_PATH.',
  );
}

/** A page that is cut off from everything but one server, and what went wrong on it. */
export interface WatchedPage {
  page: Page;
  /** Addresses elsewhere that it asked for. They were refused. */
  external: string[];
  /** Errors in its console, uncaught ones, and violations of the content security policy. */
  errors: string[];
}

/**
 * @param url of the server that may be reached
 * @param options what is special about the reader: a small screen, dark colours
 */
export async function watchedPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    // What it does to requests is seen by no route; the test of it lets it in.
    serviceWorkers: 'block',
    ...options,
  });
  const page = await context.newPage();
  const external: string[] = [];
  const errors: string[] = [];
  const { host } = new URL(url);
  await context.route('**/*', (route) => {
    const asked = new URL(route.request().url());
    if (asked.host === host || ['data:', 'blob:'].includes(asked.protocol))
      return route.continue().catch((error: unknown) => {
        // A route of the page alone, which has just been taken off, has answered.
        if (!String(error).includes('already handled')) throw error;
      });
    external.push(asked.href);
    return route.abort();
  });
  page.on('websocket', (socket) => {
    const held = new HeldFrames({ clientIsOurs: true });
    socket.on('framesent', ({ payload }) => held.said(payload.toString()));
    socket.on('framereceived', ({ payload }) => held.heard(payload.toString()));
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || message.text().includes('Content Security Policy')) {
      errors.push(message.text());
    }
  });
  page.on('pageerror', (error) => errors.push(error.message));
  return { page, external, errors };
}
