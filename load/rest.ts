import { setTimeout as pause } from 'node:timers/promises';

/** An answer that the load test cannot continue from. */
class RestError extends Error {
  override readonly name = 'RestError';
  readonly status: number;

  constructor(status: number, what: string) {
    super(what);
    this.status = status;
  }
}

/** How often a request is repeated that was refused as too many, each time after what the server asks for. */
const MAX_RETRIES = 5;

/**
 * One request. A 429 is waited out as the server asks.
 * @throws {RestError} for any answer but a success
 */
export async function call(
  url: string,
  method: string,
  path: string,
  { token, body }: { token?: string; body?: unknown } = {},
): Promise<{ body: unknown; headers: Headers }> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await answer.text();
    if (answer.ok)
      return { body: (text === '' ? undefined : JSON.parse(text)) as unknown, headers: answer.headers };
    if (answer.status !== 429 || attempt >= MAX_RETRIES)
      throw new RestError(answer.status, `${method} ${routeOf(path)}: ${answer.status} ${detailOf(text)}`);
    await pause(1000 * Number(answer.headers.get('retry-after') ?? 1));
  }
}

/** The same for whichever post it was asked: failures are counted by what they say. */
function routeOf(path: string): string {
  return path.replaceAll(/\/\d+/g, '/:id');
}

/** What a problem object says went wrong, without the number of the request; of another answer its beginning. */
function detailOf(text: string): string {
  try {
    const { title, detail = title } = JSON.parse(text) as { title?: string; detail?: string };
    if (detail !== undefined) return detail;
  } catch {
    // Not from us: a proxy's page, say.
  }
  return text.slice(0, 200);
}
