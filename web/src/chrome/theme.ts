import { effect, signal } from '@preact/signals';
import { keepChoice, readChoice } from './stored.ts';

const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const stored = readChoice('theme');

/** `auto` follows the system. */
export const theme = signal<Theme>(themes.find((name) => name === stored) ?? 'auto');

export function nextTheme(): void {
  theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length] ?? 'auto';
  keepChoice('theme', theme.value === 'auto' ? null : theme.value);
}

const barColours = { light: '#faf8f4', dark: '#10171b' };

/** Applies the theme to the page, now and whenever it changes. */
export function applyTheme(): void {
  const bars = document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]');
  effect(() => {
    const chosen = theme.value;
    if (chosen === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    for (const bar of bars) {
      const own = bar.media.includes('dark') ? 'dark' : 'light';
      bar.content = barColours[chosen === 'auto' ? own : chosen];
    }
  });
}
