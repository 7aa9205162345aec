import { language } from '../chrome/language.ts';

/** The month in which somebody came. */
export const joined = new Intl.DateTimeFormat(language, { month: 'long', year: 'numeric' });

export function Number({ of, one, many }: { of: number; one: string; many: string }) {
  return (
    <>
      {of.toLocaleString(language)} {of === 1 ? one : many}
    </>
  );
}
