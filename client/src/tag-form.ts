/** The form in which the service compares tags. Copied into the package when it is built. */
export { tagForm } from '../../server/text/tag-form.ts';
