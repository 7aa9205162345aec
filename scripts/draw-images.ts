import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../server/paths.ts';
import { launchBrowser } from '../test/support/browser.ts';

/**
 * Draws the icons and the picture for link previews out of the mark: `npx tsx scripts/draw-images.ts`. They are kept in the
 * repository, since a build has no browser.
 */
const IMAGES = join(packageRoot, 'web/src/images');
const ACCENT = '#0a6a6e';
const PAPER = '#faf8f4';

const mark = await readFile(join(packageRoot, 'web/src/chrome/mark.svg'), 'utf8');
const of = (size: number) => mark.replace('<svg ', `<svg width="${size}" height="${size}" `);

interface Drawing {
  file: string;
  width: number;
  height: number;
  background: string;
  content: string;
}

const icon = (file: string, size: number, background: string, part: number): Drawing => ({
  file,
  width: size,
  height: size,
  background,
  content: of(Math.round(size * part)),
});

const drawings: Drawing[] = [
  icon('icon-192.png', 192, 'transparent', 1),
  icon('icon-512.png', 512, 'transparent', 1),
  // A system may cut it to the circle of four fifths.
  icon('icon-maskable-512.png', 512, ACCENT, 0.9),
  icon('touch-icon.png', 180, ACCENT, 0.95),
  {
    file: 'link-preview.png',
    width: 1200,
    height: 630,
    background: PAPER,
    content: `<div style="display: grid; justify-items: center; gap: 28px; font-family: 'Noto Serif', 'DejaVu Serif', serif">
      <div style="display: flex; align-items: center; gap: 44px; font-size: 150px; font-weight: 600; color: #1c2428">
        ${of(170)}<span>Tidings</span>
      </div>
      <div style="font-size: 46px; font-style: italic; color: #5c676d">Small news, as it happens.</div>
    </div>`,
  },
];

const browser = await launchBrowser();
try {
  for (const { file, width, height, background, content } of drawings) {
    const page = await browser.newPage({ viewport: { width, height } });
    await page.setContent(
      `<body style="margin: 0; height: 100vh; display: grid; place-items: center; background: ${background}">${content}`,
    );
    await writeFile(join(IMAGES, file), await page.screenshot({ omitBackground: true, type: 'png' }));
    await page.close();
  }
} finally {
  await browser.close();
}
