/** What the service takes for an address. Copied into the package when it is built. */
export { URL } from '../../server/text/url.ts';
