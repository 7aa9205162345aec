/**
 * Whose session an access token is of: the subject of the JWT that it is. Nothing is checked.
 * @returns the user's id; undefined if it is of another kind
 */
export function userOfToken(accessToken: string): number | undefined {
  try {
    const [, claims = ''] = accessToken.split('.');
    const { sub } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))) as { sub?: unknown };
    const id = Number(sub);
    return Number.isSafeInteger(id) && id > 0 ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Whether two tokens are known to be of two users. */
export function areOfTwoUsers(one: string, other: string): boolean {
  const [first, second] = [userOfToken(one), userOfToken(other)];
  return first !== undefined && second !== undefined && first !== second;
}
