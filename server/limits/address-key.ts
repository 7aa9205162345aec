import { isIPv6 } from 'node:net';

/**
 * Prefixes of 96 bits that stand before an IPv4 address: mapped (RFC 4291), and translated by a NAT64 (RFC 6052, RFC 8215), of
 * which the second may have any further bits.
 */
const IPV4_BEHIND = /^(?:0:0:0:0:0:ffff|64:ff9b:0:0:0:0|64:ff9b:1:\w+:\w+:\w+)$/;

/**
 * The key under which requests of an address are counted. One customer has a whole /64 of IPv6: counting single
 * addresses would be useless. An IPv4 address that is written as IPv6 is the same one.
 */
export function addressKey(given: string): string {
  const address = withoutPort(given);
  if (!address.includes(':') || !isIPv6(address)) return address;
  const groups = groupsOf(address);
  const [high = 0, low = 0] = groups.slice(6);
  if (IPV4_BEHIND.test(inHex(groups.slice(0, 6))))
    return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  return inHex(groups.slice(0, 4));
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  const plain = address
    .replace(/%.*$/, '')
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...bytes: string[]) => {
      const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
      return inHex([a * 256 + b, c * 256 + d]);
    });
  const [head = [], end = []] = plain.split('::').map((part) =>
    part
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16)),
  );
  return [...head, ...Array<number>(8 - head.length - end.length).fill(0), ...end];
}

function inHex(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

/** Some proxies tell of an address with its port, which is another for each connection. */
function withoutPort(address: string): string {
  const [, four, six] = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]*)\](?::\d+)?)$/.exec(address) ?? [];
  return four ?? six ?? address;
}
