/**
 * Keeps the shell of the page, so that it opens while the server cannot be reached, and says so. The shell is what the
 * build made: files whose names have a hash of their content, and the page without anything of anyone. No answer of the
 * API is ever kept. It also shows what the page tells of while nobody looks at it, and leads from there to the page.
 */

/** Written by the build: the addresses of its files, that of the script that the page begins with, and its name. */
declare const SHELL: { readonly files: readonly string[]; readonly entry: string; readonly name: string };

const shell = SHELL;
const worker = globalThis as unknown as ServiceWorkerGlobalScope;

const PREFIX = 'tidings-shell-';
const CACHE = PREFIX + shell.name;
const PAGE = '/';
/** The places of the page: all else that one can go to needs the server. */
const places =
  /^\/(?:$|(?:home|drafts|notifications|search)$|(?:account|moderation)(?:\/|$)|tags\/|p\/\d+$|@)/;

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(activate()));
worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(lead((event.notification.data as { address: string }).address));
});
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== worker.location.origin) return;
  if (request.mode === 'navigate') {
    event.respondWith(places.test(pathname) ? page(event) : served(event));
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
  const cache = await caches.open(CACHE);
  await cache.addAll([...shell.files]);
  await cache.put(PAGE, answer);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  // The request for the page need not wait until this script has been started.
  await worker.registration.navigationPreload.enable();
  await worker.clients.claim();
}

/** What is served now: the browser may have asked for it already. */
async function served(event: FetchEvent): Promise<Response> {
  const preloaded = (await event.preloadResponse) as Response | undefined;
  return preloaded ?? (await fetch(event.request));
}

/** The page as it is served now; only where the server cannot be reached, as it was kept. */
async function page(event: FetchEvent): Promise<Response> {
  try {
    const answer = await served(event);
    const { pathname, search } = new URL(event.request.url);
    // What the operator has set is in it too, and may have changed since.
    if (answer.ok && pathname + search === PAGE) event.waitUntil(keep(answer.clone()));
    return answer;
  } catch (error) {
    const kept = await caches.match(PAGE, { cacheName: CACHE });
    if (kept) return kept;
    throw error;
  }
}

/** Keeps the page, if it is of this build. */
async function keep(answer: Response): Promise<void> {
  if (!(await answer.clone().text()).includes(shell.entry)) return;
  const cache = await caches.open(CACHE);
  await cache.put(PAGE, answer);
}

async function file(request: Request): Promise<Response> {
  const kept = await caches.match(request, { cacheName: CACHE });
  return kept ?? fetch(request);
}

/** Goes to a place of the page, in the window of it that was used last, or in a new one. */
async function lead(address: string): Promise<void> {
  const windows = await worker.clients.matchAll({ type: 'window' });
  const window = windows.find(({ url }) => places.test(new URL(url).pathname));
  if (!window) {
    await worker.clients.openWindow(address);
    return;
  }
  window.postMessage({ go: address });
  await window.focus();
}
