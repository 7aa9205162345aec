/** What an access token says, unverified: its session, and when it ends in seconds since 1970. */
export function claimsOf(token: string): { sid: string; exp: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
    sid: string;
    exp: number;
  };
}
