import { TidingsError } from 'tidings-client';

/** What may be said to the reader of whatever went wrong. */
export function sentenceOf(error: unknown): string {
  return error instanceof TidingsError ? error.message : 'Something went wrong in this page. Reload it.';
}

/** `"title" is not allowed to be empty` stands beside its field, so it need not name it. */
export function withoutFieldName(message: string): string {
  const rest = message.replace(/^"[^"]*"\s+/, '');
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}
