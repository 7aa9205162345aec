/**
 * The version of what is said over the socket, told in `ready`. A new message, event or member leaves it as it is; it grows
 * when a client of the version before would misunderstand what it hears.
 */
export const PROTOCOL = 1;
