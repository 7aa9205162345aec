import { computed } from '@preact/signals';
import { locale } from './language.ts';

/** How numbers and times are written, in the language that is shown. */
export const formats = computed(() => {
  const tag = locale.value;
  const dates = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(tag, options);
  return {
    number: new Intl.NumberFormat(tag),
    plural: new Intl.PluralRules(tag),
    ago: new Intl.RelativeTimeFormat(tag, { numeric: 'auto', style: 'short' }),
    inTime: new Intl.RelativeTimeFormat(tag, { numeric: 'always' }),
    /** With the day of the week. */
    whole: dates({ dateStyle: 'full', timeStyle: 'short' }),
    moment: dates({ dateStyle: 'long', timeStyle: 'short' }),
    dayAndMonth: dates({ day: 'numeric', month: 'short' }),
    withYear: dates({ day: 'numeric', month: 'short', year: 'numeric' }),
    month: dates({ month: 'long', year: 'numeric' }),
  };
});
