import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

/**
 * How long each address of a host name is tried before the next one; of the last there is no limit here. Node's default of 250 ms is
 * less than a distant server needs, and where only one family is connected, the next address fails. Two attempts fit into the
 * shortest time in which a connection must be made. Milliseconds.
 */
export const ADDRESS_ATTEMPT = 900;

setDefaultAutoSelectFamilyAttemptTimeout(ADDRESS_ATTEMPT);
