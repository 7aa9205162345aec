import { chooseLanguage, type Language, language, languages } from '../languages/language.ts';
import { say } from '../languages/say.ts';
import { notify } from './notices.tsx';

/** In which language the page is. */
export function LanguageSwitch() {
  const choose = async (select: HTMLSelectElement) => {
    try {
      await chooseLanguage(select.value as Language);
    } catch {
      select.value = language.peek();
      notify(say('language.failed'), 'failed');
    }
  };
  return (
    <span class="icon language">
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path
          class="outline"
          d="M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18ZM3.500 12h17M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18"
        />
      </svg>
      <select
        aria-label={say('language.name')}
        title={say('language.name')}
        value={language.value}
        onChange={({ currentTarget }) => void choose(currentTarget)}
      >
        {Object.entries(languages).map(([tag, name]) => (
          <option key={tag} value={tag} lang={tag}>
            {name}
          </option>
        ))}
      </select>
    </span>
  );
}
