/** Waits until a condition holds, and fails with its description if it does not within the time (milliseconds). */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  within = 5000,
): Promise<void> {
  const deadline = Date.now() + within;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
