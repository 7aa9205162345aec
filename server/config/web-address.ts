import { isIP } from 'node:net';

/** Origins of pages and names of hosts, in one spelling each, so that two of them can be compared. */

/** Schemes that are names for one and the same origin: a WebSocket belongs to the page of its host. */
const pageSchemes: Record<string, string> = { 'ws:': 'http:', 'wss:': 'https:' };

/** `scheme://host[:port]`; a scheme such as `file` has no host. No path, query, user or wildcard. */
const ORIGIN = /^([a-z][a-z\d+.-]*:)\/\/([^\s/?#@\\*]*)$/i;
/** As a `Host` header has it: a name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
const HOST = /^(\[[\da-f:.]+\]|[^\s/?#@\\*:[\]]+)(?::\d{0,5})?$/i;

/**
 * The origin in lower case and without a default port; `wss://example.org:443` is `https://example.org`. Other schemes,
 * such as those of Capacitor, Tauri and browser extensions, keep theirs.
 * @returns undefined if the text is no origin; `null` is none
 */
export function originOf(text: string): string | undefined {
  const [, given = '', authority = ''] = ORIGIN.exec(text) ?? [];
  const scheme = pageSchemes[given.toLowerCase()] ?? given.toLowerCase();
  if (scheme === '') return undefined;
  if (scheme !== 'http:' && scheme !== 'https:') return `${scheme}//${authority.toLowerCase()}`;
  return webOrigin(scheme, authority);
}

/**
 * Whether a page of this origin was served under the name in a `Host` header. The page says by its scheme which port the
 * header leaves out. The dot at the end of a full domain name makes no difference.
 */
export function isServedBy(origin: string, host: string): boolean {
  const page = originOf(origin);
  const scheme = /^https?:/.exec(page ?? '')?.[0];
  if (page === undefined || scheme === undefined || !HOST.test(host)) return false;
  const ours = webOrigin(scheme, host);
  return ours !== undefined && withoutDotBeforePort(ours) === withoutDotBeforePort(page);
}

function withoutDotBeforePort(origin: string): string {
  return origin.replace(/\.(?=$|:\d+$)/, '');
}

function webOrigin(scheme: string, authority: string): string | undefined {
  const address = `${scheme}//${authority}`;
  if (authority === '' || !URL.canParse(address)) return undefined;
  return `${scheme}//${new URL(address).host}`;
}

/**
 * The name in a `Host` header: lower case, without port, brackets and the dot at its end.
 * @returns undefined if the header names no host
 */
export function nameOfHost(host: string): string | undefined {
  if (!HOST.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  const name = withoutDot(new URL(`http://${host}`).hostname);
  return name === '' ? undefined : name.replace(/^\[(.*)\]$/, '$1');
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Whether a name, as `nameOfHost` gives it, can only mean the machine itself. */
export function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const kind = isIP(name);
  if (kind === 4) return name.startsWith('127.');
  return kind === 6 && (name === '::1' || name.startsWith('::ffff:7f') || name.startsWith('::ffff:127.'));
}
