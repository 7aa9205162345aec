import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchBrowser } from './browser.ts';
import { buildPage } from './built-page.ts';
import { Reader } from './reader.ts';
import { createWorld, type World } from './world.ts';

/** A world with its page in a browser, and alice, who has just signed up there. */
export interface PageWorld {
  world: World;
  browser: Browser;
  reader: Reader;
  page: Page;
  close: () => Promise<void>;
}

/**
 * For a `before` hook, whose time limit it sets.
 * @param fill makes what is there before alice comes
 * @param options what is special about her browser
 */
export async function openPageWorld(
  hook: Mocha.Context,
  fill: (world: World) => Promise<void> = () => Promise.resolve(),
  options?: BrowserContextOptions,
): Promise<PageWorld> {
  hook.timeout(180_000);
  await buildPage();
  const [world, browser] = await Promise.all([createWorld(), launchBrowser()]);
  const close = async () => {
    await browser.close();
    await world.close();
  };
  try {
    await fill(world);
    const reader = await Reader.open(browser, world.url, 'alice', options);
    await reader.signUp();
    return { world, browser, reader, page: reader.page, close };
  } catch (error) {
    await close();
    throw error;
  }
}
