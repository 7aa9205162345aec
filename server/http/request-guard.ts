import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { isLoopbackName, isServedBy, nameOfHost, originOf } from '../config/web-address.ts';
import { proxyTrust, type TrustProxy } from './client-address.ts';

export interface RequestGuardOptions {
  /** Origins of pages that may send requests, beside the service's own, as `originOf` writes them; `*` for any. */
  origins: readonly string[];
  publicUrl: string | undefined;
  /** Names that a `Host` header may have; see `Config`. */
  allowedHosts: readonly string[];
  trustProxy: TrustProxy;
  log: Logger;
  onRefused: (reason: 'host' | 'origin') => void;
}

/** Refused hosts, and refused pairs of an origin and a host, that are logged, once each; and texts whose meaning is cached. */
const MAX_LOGGED = 10;
const MAX_CACHED = 500;
/** How much of a header is repeated in an answer or in the log. Characters. */
const MAX_QUOTED = 200;

/**
 * Decides whether a request is accepted at all, before it is counted and before its body is read:
 * - **By its `Host`.** A node that listens on loopback answers to names of loopback, and one with `ALLOWED_HOSTS` to
 *   those. Else a page could give its own name the address 127.0.0.1 and would then be of the same origin as the node
 *   (DNS rebinding).
 * - **By its `Origin` and `Sec-Fetch-Site`.** A page elsewhere can make a browser send forms and open WebSockets; a
 *   browser says so in headers that the page cannot set. What has neither header is no browser of today and is let in.
 */
export class RequestGuard {
  readonly #options: RequestGuardOptions;
  readonly #trusts: ReturnType<typeof proxyTrust>;
  readonly #origins: ReadonlySet<string>;
  readonly #hosts: ReadonlySet<string>;
  readonly #domains: readonly string[];
  readonly #names = new Map<string, string | undefined>();
  readonly #logged = { host: new Set<string>(), origin: new Set<string>() };
  #isOnLoopback = false;
  #hasWarnedOfProxy = false;

  constructor(options: RequestGuardOptions) {
    const { origins, publicUrl, allowedHosts, trustProxy } = options;
    this.#options = options;
    this.#trusts = proxyTrust(trustProxy);
    const own = publicUrl === undefined ? undefined : originOf(new URL(publicUrl).origin);
    this.#origins = new Set(own === undefined ? origins : [...origins, own]);
    const publicName = publicUrl === undefined ? undefined : nameOfHost(new URL(publicUrl).host);
    this.#hosts = new Set(publicName === undefined ? allowedHosts : [...allowedHosts, publicName]);
    this.#domains = allowedHosts.filter((host) => host.startsWith('.'));
  }

  /** @param address that the port was opened on */
  listensOn(address: string): void {
    this.#isOnLoopback = isLoopbackName(address);
  }

  /** Whether pages of this origin may read answers, by the list alone. */
  isListed(origin: string): boolean {
    return this.#origins.has('*') || this.#origins.has(originOf(origin) ?? '');
  }

  /** What a request is refused for by its `Host` header: 400 if it has none or two, 421 if it is another's. */
  hostRefusal(req: IncomingMessage): AppError | undefined {
    this.#noteProxy(req);
    const { host } = req.headers;
    const refused = (code: 'malformed' | 'misdirected', detail: string) => {
      this.#options.onRefused('host');
      return new AppError(code, detail, { headers: { Connection: 'close' } });
    };
    if (hasTwoHosts(req)) return refused('malformed', 'The request has two Host headers.');
    const target = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(req.url ?? '')?.[1];
    if (host === undefined) {
      // RFC 9112, 3.2: a request of HTTP/1.1 names its host.
      return req.httpVersion === '1.0' ? undefined : refused('malformed', 'The request has no Host header.');
    }
    if (target !== undefined && this.#nameOf(target) !== this.#nameOf(host))
      return refused('malformed', 'The Host header does not match the host of the URL.');
    const name = this.#nameOf(host);
    if (name === undefined) return refused('malformed', 'The Host header is not a valid host.');
    const isRestricted = this.#isOnLoopback || this.#options.allowedHosts.length > 0;
    if (!isRestricted || this.#hosts.has('*')) return undefined;
    if (this.#answersTo(name, req)) return undefined;
    this.#logOnce(
      'host',
      host,
      { host: quoted(host) },
      'a request for another host was refused; if it is a name of this service, add it to PUBLIC_URL or ALLOWED_HOSTS',
    );
    return refused('misdirected', `This server does not accept requests for the host "${quoted(host)}".`);
  }

  #answersTo(name: string, req: IncomingMessage): boolean {
    if (isLoopbackName(name) || this.#hosts.has(name)) return true;
    if (this.#domains.some((domain) => `.${name}`.endsWith(domain))) return true;
    // The very address that it came to, as a probe in Kubernetes asks: no name is involved.
    return req.socket.localAddress?.replace(/^::ffff:(?=\d+\.)/, '') === name;
  }

  /**
   * What a request is refused for by where it comes from: 403 if a page of another origin sent it.
   * @param options.navigation whether following a link to here is allowed
   */
  originRefusal(req: IncomingMessage, { navigation }: { navigation: boolean }): AppError | undefined {
    const { origin } = req.headers;
    const site = req.headers['sec-fetch-site'];
    if (this.#origins.has('*')) return undefined;
    if (origin === undefined) {
      if (site === undefined || site === 'same-origin' || site === 'none') return undefined;
      if (navigation && req.headers['sec-fetch-mode'] === 'navigate') return undefined;
    } else if (site === 'same-origin' || this.isListed(origin) || this.#isOwn(origin, req)) return undefined;
    this.#options.onRefused('origin');
    const { host, 'x-forwarded-host': forwarded } = req.headers;
    if (origin !== undefined)
      this.#logOnce(
        'origin',
        `${origin} ${host}`,
        {
          origin: quoted(origin),
          host: quoted(host ?? ''),
          ...(forwarded === undefined ? {} : { forwarded_host: quoted(String(forwarded)) }),
        },
        'a browser request was refused because its Origin does not match the Host; if the page is yours, set PUBLIC_URL or CORS_ORIGINS, or let the proxy pass Host on (docs/operating.md, Proxies)',
      );
    return new AppError(
      'forbidden',
      origin === undefined
        ? 'Pages of other sites may not send requests here.'
        : `Pages of "${quoted(origin)}" may not send requests here. The operator can allow them with CORS_ORIGINS.`,
    );
  }

  /** Whether the page was served under the name that the request was sent to. */
  #isOwn(origin: string, req: IncomingMessage): boolean {
    const { host, 'x-forwarded-host': forwarded } = req.headers;
    const hosts = [host ?? ''];
    if (forwarded !== undefined && this.#trusts(req.socket.remoteAddress ?? '', 0))
      hosts.push(...String(forwarded).split(','));
    return hosts.some((one) => isServedBy(origin, one.trim()));
  }

  #nameOf(host: string): string | undefined {
    if (this.#names.has(host)) return this.#names.get(host);
    const name = nameOfHost(host);
    if (this.#names.size >= MAX_CACHED) this.#names.clear();
    this.#names.set(host, name);
    return name;
  }

  /** Everyone's address would be the proxy's, and limits by address would hold all users together. */
  #noteProxy(req: IncomingMessage): void {
    if (this.#hasWarnedOfProxy || this.#options.trustProxy !== false) return;
    const header = (['x-forwarded-for', 'forwarded'] as const).find((one) => req.headers[one] !== undefined);
    if (header === undefined) return;
    this.#hasWarnedOfProxy = true;
    this.#options.log.warn(
      { header, from: req.socket.remoteAddress },
      'a request came through a proxy, but TRUST_PROXY is off: limits per address count all clients of the proxy as one',
    );
  }

  #logOnce(kind: 'host' | 'origin', key: string, values: object, message: string): void {
    const logged = this.#logged[kind];
    if (logged.has(key) || logged.size >= MAX_LOGGED) return;
    logged.add(key);
    this.#options.log.warn(values, message);
  }
}

/** Node keeps the first one and says nothing. */
function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts > 1;
}

function quoted(value: string): string {
  return value.slice(0, MAX_QUOTED);
}
