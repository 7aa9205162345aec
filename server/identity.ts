/** Who asks, as a valid access token and its live session tell. */
export interface Identity {
  id: number;
  sessionId: string;
  /** When the access token ends, in milliseconds since 1970. */
  expiresAt: number;
}
