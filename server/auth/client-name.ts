import Bowser from 'bowser';

/** As many characters as a name has at most: the width of its column. */
const MOST = 80;
/** How much of a header is looked at: far more than any browser sends. */
const LOOKED_AT = 1000;

/**
 * What a user recognises a session by: the browser and the system that the `User-Agent` header tells of, as `Firefox on
 * Windows`; of any other program what it calls itself, as `okhttp/4.12.0`.
 * @returns 1 to 80 characters; null if it says nothing of itself
 */
export function clientName(userAgent: string | undefined): string | null {
  const said = (userAgent ?? '').slice(0, LOOKED_AT).replaceAll(/\s+/g, ' ').trim();
  const browser = said.startsWith('Mozilla/') ? browserName(said) : undefined;
  const name = (browser ?? said).slice(0, MOST).trim();
  return name === '' ? null : name;
}

function browserName(userAgent: string): string | undefined {
  const { browser, os } = Bowser.parse(userAgent);
  if (!browser.name) return undefined;
  return os.name ? `${browser.name} on ${os.name}` : browser.name;
}
