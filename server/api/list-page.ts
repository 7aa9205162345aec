/**
 * A page of a list: the position in the event stream that it reflects, and the cursor of the next page if there is one.
 */
interface ListPage {
  epoch: string;
  seq: number;
  next: string | undefined;
}

/** What the documents say of the header of a page that has a next one. @param entries what the list holds: `sessions` */
export const linkHeaderOf = (entries: string): Record<string, string> => ({
  Link: `RFC 8288: \`rel="next"\` is the next page, by a cursor that new ${entries} do not shift`,
});

/** What the documents say of the headers of a page of the stream's things. @param entries what the list holds: `posts` */
export const pageHeadersOf = (entries: string): Record<string, string> => ({
  ...linkHeaderOf(entries),
  'X-Feed-Seq': 'The position in the event stream that this page reflects',
  'X-Feed-Epoch': 'The epoch of that position',
});

/**
 * The headers of a page, which is a user's own.
 * @param path of the list; the request's own address may name another host
 * @param url of the request, whose query the next page keeps
 */
export function pageHeaders(
  path: string,
  url: string,
  { epoch, seq, next }: ListPage,
): Record<string, string> {
  return { 'X-Feed-Seq': String(seq), 'X-Feed-Epoch': epoch, ...linkHeader(path, url, next) };
}

/**
 * The headers of a page that shows nothing of the stream.
 * @param next the cursor of the next page; undefined on the last
 */
export function linkHeader(path: string, url: string, next: string | undefined): Record<string, string> {
  return {
    'Cache-Control': 'private, no-cache',
    ...(next === undefined ? {} : { Link: `<${nextPage(path, url, next)}>; rel="next"` }),
  };
}

function nextPage(path: string, url: string, cursor: string): string {
  // A query may hold question marks of its own.
  const at = url.indexOf('?');
  const params = new URLSearchParams(at < 0 ? '' : url.slice(at));
  params.delete('skip');
  params.set('cursor', cursor);
  return `${path}?${params.toString()}`;
}
