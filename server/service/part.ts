/** Something that runs: most classes of the service have just this. */
export interface Part {
  start?: () => void | Promise<void>;
  stop?: () => void | Promise<void>;
}

/** Starts parts one after the other, each when the one before it runs. */
export async function startParts(parts: readonly Part[]): Promise<void> {
  for (const part of parts) await part.start?.();
}

/** Stops parts from the last to the first, whether or not they were started. */
export async function stopParts(parts: readonly Part[]): Promise<void> {
  for (const part of parts.toReversed()) await part.stop?.();
}
