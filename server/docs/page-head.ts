import { escaped } from './html.ts';

/** What a link to a place of the page tells those whom it is sent to, and search engines. */
export interface SharedLink {
  title: string;
  description: string;
  /** From the root of the service. */
  path: string;
  type: 'article' | 'profile' | 'website';
  /** Of an article, RFC 3339. */
  publishedAt?: string | null;
  /** Whether search engines should list it. */
  listed: boolean;
}

export interface PageHead {
  publicRead: boolean;
  /** Where the service is for its users; without it no address is told. */
  publicUrl: string | undefined;
  /** Undefined: there is nothing to tell. */
  link: SharedLink | undefined;
}

/** Characters of a description at most. */
const MOST = 200;

/** What stands in the built page for all of its places. */
const TITLE = /<title>[^<]*<\/title>/;
const DESCRIPTION = /<meta\s+name="description"\s+content="([^"]*)"\s*\/?>/;

const IMAGE = /\s*<meta\s+property="og:image"\s+content="([^"]*)"\s*\/?>/;

/**
 * The page with the head of one of its places.
 * @param shell as it was built
 */
export function withHead(shell: string, { publicRead, publicUrl, link }: PageHead): string {
  const tags = [
    ...(publicRead ? [meta('name', 'tidings:public-read', 'on')] : []),
    ...(link?.listed ? [] : [meta('name', 'robots', 'noindex')]),
    ...(link ? linkTags(link, publicUrl) : []),
  ].join('');
  const image = link && publicUrl !== undefined ? IMAGE.exec(shell)?.[1] : undefined;
  const preview =
    image === undefined
      ? ''
      : meta('property', 'og:image', `${publicUrl}${image}`) + meta('property', 'og:image:alt', 'Tidings');
  // The replacements are functions: text of users may have a `$` in it.
  const titled = shell
    .replace(IMAGE, () => preview)
    .replace(TITLE, (title) => (link ? `<title>${escaped(windowTitle(link))}</title>${tags}` : title + tags));
  return link
    ? titled.replace(DESCRIPTION, () => meta('name', 'description', shortened(link.description)))
    : titled;
}

function windowTitle({ title, path }: SharedLink): string {
  return path === '/' ? title : `${title} · Tidings`;
}

function linkTags(
  { title, description, path, type, publishedAt }: SharedLink,
  publicUrl: string | undefined,
) {
  return [
    meta('property', 'og:site_name', 'Tidings'),
    meta('property', 'og:type', type),
    meta('property', 'og:title', title),
    meta('property', 'og:description', shortened(description)),
    meta('name', 'twitter:card', 'summary'),
    ...(typeof publishedAt === 'string' ? [meta('property', 'article:published_time', publishedAt)] : []),
    ...(publicUrl === undefined
      ? []
      : [
          meta('property', 'og:url', publicUrl + path),
          `<link rel="canonical" href="${escaped(publicUrl + path)}">`,
        ]),
  ];
}

function meta(attribute: 'name' | 'property', name: string, content: string): string {
  return `<meta ${attribute}="${name}" content="${escaped(content)}">`;
}

/** One line, cut between words where it is too long. */
function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  const characters = Array.from(line);
  if (characters.length <= MOST) return line;
  const cut = characters.slice(0, MOST).join('');
  const end = cut.lastIndexOf(' ');
  return `${end > MOST / 2 ? cut.slice(0, end) : cut}…`;
}
