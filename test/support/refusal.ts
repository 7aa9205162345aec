import { TidingsError } from '../../client/src/index.ts';

/** The error that a call of the client was refused with. Fails if it was not. */
export async function refusal(call: Promise<unknown>): Promise<TidingsError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof TidingsError) return error;
    throw error;
  }
  throw new Error('the call was not refused');
}
