/** What the service's searches compare: a live list filters its posts as the service does. Copied into the package when it is built. */
export { contains, fold, wordsOf } from '../../server/text/fold.ts';
