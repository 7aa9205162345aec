import { say } from '../languages/say.ts';
import { nextTheme, theme } from './theme.ts';

const icons = {
  auto: 'M12 3a9 9 0 1 0 0 18Z',
  light: 'M12 7a5 5 0 1 0 0 10a5 5 0 1 0 0-10Z',
  dark: 'M19 15.5A8 8 0 0 1 8.5 5a8 8 0 1 0 10.500 10.500Z',
};

/** Goes round: as the system has it, light, dark. */
export function ThemeSwitch() {
  const label = say('theme.label', { theme: say(`theme.${theme.value}`) });
  return (
    <button type="button" class="icon" aria-label={label} title={label} onClick={nextTheme}>
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        {theme.value === 'auto' && <circle cx="12" cy="12" r="9" class="outline" />}
        <path d={icons[theme.value]} />
        {theme.value === 'light' && (
          <path
            class="outline"
            d="M12 1.500v2M12 20.500v2M1.500 12h2M20.500 12h2M4.600 4.600l1.400 1.400M18 18l1.400 1.400M4.600 19.400l1.400-1.400M18 6l1.400-1.400"
          />
        )}
      </svg>
    </button>
  );
}
