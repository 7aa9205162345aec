/** Replies that are deeper are not indented any further. */
export const DEEPEST = 6;
