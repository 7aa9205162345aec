/** Whom a request counts for: the address that it comes from and, if one is known, its user. */
export function sendersAt(address: string, userId?: number): readonly string[] {
  return userId === undefined ? [`a${address}`] : [`a${address}`, `u${userId}`];
}
