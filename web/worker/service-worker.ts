/**
 * Keeps the shell of the page, so that it opens while the server cannot be reached, and says so. The shell is what the
 * build made: files whose names have a hash of their content, and the page without anything of anyone. No answer of the
 * API is ever kept.
 */

/** Written by the build: the addresses of its files, that of the script that the page begins with, and its name. */
declare const SHELL: { readonly files: readonly string[]; readonly entry: string; readonly name: string };

const shell = SHELL;
const worker = globalThis as unknown as ServiceWorkerGlobalScope;

const PREFIX = 'tidings-shell-';
const PAGE = '/';
/** The places of the page: all else that one can go to needs the server. */
const places =
  /^\/(?:$|(?:home|drafts|notifications|search)$|(?:account|moderation)(?:\/|$)|tags\/|p\/\d+$|@)/;

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(activate()));
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== worker.location.origin) return;
  if (request.mode === 'navigate') {
    if (places.test(pathname)) event.respondWith(page(event));
  } else if (shell.files.includes(pathname)) {
    event.respondWith(file(request));
  }
});

/** @throws if another build is served meanwhile: it is tried again with the next visit */
async function install(): Promise<void> {
  const answer = await fetch(PAGE, {
    headers: { Accept: 'text/html' },
    cache: 'no-store',
    credentials: 'omit',
  });
  const html = await answer.clone().text();
  if (!answer.ok || !html.includes(shell.entry)) throw new Error('The page is of another build.');
  const cache = await caches.open(PREFIX + shell.name);
  await cache.addAll([...shell.files]);
  await cache.put(PAGE, answer);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== PREFIX + shell.name) await caches.delete(name);
  }
  // The request for the page need not wait until this script has been started.
  await worker.registration.navigationPreload.enable();
  await worker.clients.claim();
}

/** The page as it is served now; only where the server cannot be reached, as it was kept. */
async function page(event: FetchEvent): Promise<Response> {
  try {
    const preloaded = (await event.preloadResponse) as Response | undefined;
    return preloaded ?? (await fetch(event.request));
  } catch (error) {
    const kept = await caches.match(PAGE, { cacheName: PREFIX + shell.name });
    if (kept) return kept;
    throw error;
  }
}

async function file(request: Request): Promise<Response> {
  const kept = await caches.match(request, { cacheName: PREFIX + shell.name });
  return kept ?? fetch(request);
}
