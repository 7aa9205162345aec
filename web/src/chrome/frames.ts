const waiting = new Set<() => void>();
let frame: number | undefined;

/** Does one thing in a frame, after those that wait already, so that the page answers in between. @returns takes it back */
export function inFrameOfItsOwn(act: () => void): () => void {
  waiting.add(act);
  schedule();
  return () => void waiting.delete(act);
}

function schedule(): void {
  frame ??= requestAnimationFrame(() => {
    frame = undefined;
    const [next] = waiting;
    if (!next) return;
    waiting.delete(next);
    schedule();
    next();
  });
}

/** Does something once the page has shown what it has by now, as the answer to a key. @returns takes it back */
export function onceShown(act: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const shown = requestAnimationFrame(() => (timer = setTimeout(act)));
  return () => {
    cancelAnimationFrame(shown);
    clearTimeout(timer);
  };
}
