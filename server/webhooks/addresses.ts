import { Resolver } from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a name server may take, and how often each is asked. Milliseconds. */
const QUERY_LIMIT = 2000;
const QUERIES = 2;
/** How much longer the addresses of the other family are waited for when there are some of one. Milliseconds. */
const OTHER_FAMILY = 300;

/** IPv4 that is not of the public internet (RFC 6890 and what the IANA has added since). */
const notPublic4 = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  notPublic4.addSubnet(network, bits, 'ipv4');

/**
 * IPv6 that is: global unicast, but for what is a protocol's own or contains an IPv4 address. Link-local and unique local
 * addresses lie outside, and so does what NAT64 translates.
 */
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
const notPublic6 = new BlockList();
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  notPublic6.addSubnet(network, bits, 'ipv6');

/** Whether an address is of the public internet: not this machine, its network or anything reserved. */
export function isPublic(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return isPublic(mapped);
  // With a zone it is of one link.
  if (address.includes('%')) return false;
  if (isIP(address) === 4) return !notPublic4.check(address, 'ipv4');
  return isIP(address) === 6 && global6.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6');
}

/** The name or the IP address that a URL leads to: an IPv6 address without its brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** Whether a host leads to this machine or its network by itself; where any other name leads is found out with each connection. */
export function isPrivateHost(host: string): boolean {
  return isIP(host) === 0 ? /(^|\.)localhost\.?$/i.test(host) : !isPublic(host);
}

/** The connection would go where a webhook may not. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError';
}

/** A name has no address, or no name server says so in time. */
export class UnknownNameError extends Error {
  override readonly name = 'UnknownNameError';
}

/**
 * Finds addresses for one connection, and leaves only public ones. Its `lookup` is given to the socket itself: what it returns
 * is what is connected to. It asks the name servers over sockets of its own: `dns.lookup` has four threads for all of the process,
 * which slow names would take from the database and Redis.
 */
export class PublicNames {
  readonly #resolver = new Resolver({ timeout: QUERY_LIMIT, tries: QUERIES });

  /** @param servers undefined: those of the system */
  constructor(servers?: readonly string[]) {
    if (servers) this.#resolver.setServers(servers);
  }

  readonly lookup: LookupFunction = (hostname, { all }, callback) => {
    this.#find(hostname).then(
      ([first, ...others]) => {
        if (!first) callback(new PrivateAddressError('the name has no public address'), '');
        else if (all) callback(null, [first, ...others]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error as Error, ''),
    );
  };

  /** Ends what is being looked up. */
  cancel(): void {
    this.#resolver.cancel();
  }

  /** @throws {UnknownNameError} */
  async #find(hostname: string): Promise<LookupAddress[]> {
    const queries = [this.#resolver.resolve4(hostname), this.#resolver.resolve6(hostname)];
    await Promise.any(queries).catch((cause: unknown) => {
      throw new UnknownNameError('the name has no address', { cause });
    });
    const answers = queries.map((query) =>
      Promise.race([query.catch(() => []), sleep(OTHER_FAMILY, [], { ref: false })]),
    );
    const addresses = (await Promise.all(answers)).flat();
    return addresses.filter(isPublic).map((address) => ({ address, family: isIP(address) }));
  }
}
