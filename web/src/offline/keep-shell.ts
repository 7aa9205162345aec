/** Lets the browser keep the shell of the page, for when the server cannot be reached. Only the built page has one. */
export function keepShell(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const keep = () => {
    // Refused, in a private window say: the page works without it.
    navigator.serviceWorker.register('/service-worker.js', { updateViaCache: 'none' }).catch(() => undefined);
  };
  // What is to be seen first is loaded first.
  if (document.readyState === 'complete') keep();
  else window.addEventListener('load', keep, { once: true });
}
