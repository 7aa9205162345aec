import { computed, signal } from '@preact/signals';
import { keepChoice, readChoice } from '../chrome/stored.ts';
import { en } from './en.ts';
import type { Messages } from './messages.ts';

/** The languages of the page, each by its own name. */
export const languages = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof languages;

/** English is in the script of the page; who reads another language loads that file too. */
const files: Record<Language, () => Promise<Messages>> = {
  en: () => Promise.resolve(en),
  de: async () => (await import('./de.ts')).de,
};

const shown = signal<{ language: Language; messages: Messages }>({ language: 'en', messages: en });

/** What the page says, in the language that is shown. */
export const messages = computed(() => shown.value.messages);

/** The language that is shown. */
export const language = computed(() => shown.value.language);

/** How dates and numbers are written: as the browser wants them, if that is in the language that is shown. */
export const locale = computed(
  () => navigator.languages.find((tag) => languageOf(tag) === language.value) ?? language.value,
);

/** How long nothing is shown for a file that neither comes nor fails. Milliseconds. */
const PATIENCE = 2500;

let wanted: Language = 'en';

/** Shows the language that this browser remembers, or else the first of its own that the page has. */
export async function showFirstLanguage(): Promise<void> {
  const known = [readChoice('language') ?? '', ...navigator.languages].map(languageOf).find(isLanguage);
  // It can be read in English until the server is reached again, or the file comes.
  const loading = show(known ?? 'en').catch(() => show('en'));
  await Promise.race([loading, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
}

/** The reader has chosen a language, which this browser remembers. @throws if it cannot be loaded */
export async function chooseLanguage(chosen: Language): Promise<void> {
  await show(chosen);
  keepChoice('language', chosen);
}

async function show(next: Language): Promise<void> {
  wanted = next;
  const loaded = await files[next]();
  if (wanted !== next) return;
  shown.value = { language: next, messages: loaded };
  document.documentElement.lang = next;
}

function languageOf(tag: string): string {
  return tag.split('-')[0]?.toLowerCase() ?? '';
}

function isLanguage(name: string): name is Language {
  return Object.hasOwn(languages, name);
}
