// What a thread of `hash-threads.ts` does. JavaScript, so that no thread has to load a compiler where TypeScript is run as it is.
import os from 'node:os';
import process from 'node:process';
import bcrypt from 'bcrypt';

// On Linux a priority is that of the thread that asks for it, elsewhere it would be that of the whole process.
const nice = Number(process.argv[2]);
if (nice > 0 && process.platform === 'linux') os.setPriority(Math.min(19, os.getPriority() + nice));

/** @param {{ form: string, cost: number }} task @returns {string} */
export const hash = ({ form, cost }) => bcrypt.hashSync(form, cost);

/** @param {{ form: string, hash: string }} task @returns {boolean} */
export const compare = ({ form, hash }) => bcrypt.compareSync(form, hash);
