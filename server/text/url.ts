/**
 * The part of an address behind its scheme, or of one that begins with `www.`; for regular expressions with the flag
 * `u`.
 */
export const URL = String.raw`(?:://|\b[wW]{3}\.)[\p{L}\p{M}\p{N}!#$%&'()*+,\-./:;=?@[\]_~]*`;
