/** How the service finds tags. Copied into the package when it is built. */
export { placedTags } from '../../server/text/tags.ts';
