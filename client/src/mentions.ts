/** How the service finds mentions. Copied into the package when it is built. */
export { placedNames } from '../../server/text/mentions.ts';
