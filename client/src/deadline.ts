/** The error of an operation that exceeded its time limit. */
export class DeadlineExceeded extends Error {}

/**
 * Limits the time of an operation, whether or not it obeys its abort signal. `fetch` of Node does not always: a body
 * that is being read when it is aborted stays pending for ever (nodejs/node#56917), and the signal itself may be
 * collected before its time (nodejs/undici#3644).
 *
 * @param signal what else aborts it
 * @throws {DeadlineExceeded} when the time is over
 */
export async function withDeadline<T>(
  milliseconds: number,
  signal: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let abort = (): void => undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = new Promise<never>((_resolve, reject) => {
    const endWith = (reason: unknown) => {
      controller.abort(reason);
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- whatever the caller aborted with
      reject(reason);
    };
    abort = () => endWith(signal?.reason);
    timer = setTimeout(() => endWith(new DeadlineExceeded(`Not within ${milliseconds} ms.`)), milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([act(controller.signal), end]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
