/** The language in which dates and numbers are written: the browser's own. */
export const language: string | undefined = navigator.languages[0];
