import type { Report } from 'tidings-client';

/** Why something is reported, in plain words. */
export const reasons: Record<Report['reason'], string> = {
  spam: 'Spam',
  harassment: 'Harassment',
  violence: 'Violence',
  illegal: 'It may be illegal',
  other: 'Something else',
};

/** The words for a reason, which a newer service may have more of. */
export function wordsOf(reason: string): string {
  return (reasons as Record<string, string>)[reason] ?? reason;
}
