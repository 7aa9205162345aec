import { domainToASCII } from 'node:url';

/** As the HTML standard defines a valid e-mail address, which is what browsers check, but with letters of all scripts. */
const LOCAL = /^(?:[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]|[^\0-\x7f])+$/;
const DOMAIN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** What a name in another script is made of. `domainToASCII` cuts off or decodes what would end the host in a URL. */
// oxlint-disable-next-line no-misleading-character-class -- each of them by itself is meant
const INTERNATIONAL = /^[\p{L}\p{M}\p{N}.\-\u00b7\u200c\u200d\u3002\uff0e\uff61\u30fb]+$/u;
const ASCII = /^[\0-\x7f]*$/;
/** Space, control and format characters, which no address has. */
const UNSEEN = /[\s\p{C}\p{Default_Ignorable_Code_Point}]/u;

/** Whether an address is one that a browser's e-mail field accepts, or its like in another script. */
export function isEmail(address: string): boolean {
  const at = address.lastIndexOf('@');
  const local = address.slice(0, Math.max(at, 0));
  return (
    at > 0 && LOCAL.test(local) && !UNSEEN.test(local) && DOMAIN.test(asciiDomain(address.slice(at + 1)))
  );
}

/**
 * What two ways of writing one address have in common: without case, in one Unicode form, and with the domain as the DNS has it
 * (UTS 46). An accent makes another address. Of an address in ASCII it is the address in small letters, which is what the
 * database takes for it (`users_email_key`).
 */
export function emailKey(address: string): string {
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const folded = local.normalize('NFKC').toLowerCase().replaceAll('ς', 'σ').normalize('NFKC');
  return at < 0 ? folded : `${folded}@${asciiDomain(address.slice(at + 1))}`;
}

/**
 * Whether two addresses are surely one mailbox: their local parts differ at most in the case of ASCII letters and in how
 * accents are encoded, and the DNS takes their domains for one. Of `emailKey` two mailboxes may have the same, such as
 * those of full-width and of ASCII letters: nobody else may take the second, but it need not be the owner's.
 */
export function isSameMailbox(one: string, other: string): boolean {
  return mailboxOf(one) === mailboxOf(other);
}

function mailboxOf(address: string): string {
  const at = address.lastIndexOf('@');
  const local = inSmallLetters(address.slice(0, Math.max(at, 0)).normalize('NFC'));
  return `${local}@${asciiDomain(address.slice(at + 1))}`;
}

function inSmallLetters(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** What stands in the column for it: the key, unless the database makes it of the address itself, as of one in ASCII. */
export function storedEmailKey(address: string): string | null {
  return ASCII.test(address) ? null : emailKey(address);
}

/**
 * The keys under which the account may stand whose owner types this address, the best first: of an account that is meant only by
 * its exact address, of any, and of one that an older node has just made.
 */
export function emailKeysOf(address: string): string[] {
  return [` ${address}`, emailKey(address), inSmallLetters(address)];
}

/** The domain in ASCII; one that is none in small letters, as it is. */
function asciiDomain(domain: string): string {
  if (ASCII.test(domain) || !INTERNATIONAL.test(domain)) return domain.toLowerCase();
  return domainToASCII(domain) || domain.toLowerCase();
}
