import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemBinary } from './system-binary.ts';

const run = promisify(execFile);

/** Of a certificate and its private key. PEM files. */
export interface KeyPair {
  cert: string;
  key: string;
}

interface Wanted {
  /** Such as `DNS:localhost,IP:127.0.0.1`. */
  names?: string;
  /** Whose certificate it is. */
  subject?: string;
  /** Default: 2; a negative number makes one that has expired. */
  days?: number;
}

/** A certificate authority of a test's own, whose files are in `folder`. */
export class Authority implements KeyPair {
  readonly #folder: string;
  readonly #name: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  static async make(folder: string, name: string): Promise<Authority> {
    const made = new Authority(folder, name);
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    await openssl(folder, ['req', '-x509', ...newKey, '-keyout', made.key, '-out', made.cert, ...subject]);
    return made;
  }

  get cert(): string {
    return join(this.#folder, `${this.#name}.pem`);
  }

  get key(): string {
    return join(this.#folder, `${this.#name}.key`);
  }

  /** @param name of the files */
  async sign(name: string, { names, subject = name, days = 2 }: Wanted = {}): Promise<KeyPair> {
    const at = (ending: string) => join(this.#folder, `${name}.${ending}`);
    await openssl(this.#folder, [
      'req',
      ...newKey,
      '-keyout',
      at('key'),
      '-out',
      at('csr'),
      '-subj',
      `/CN=${subject}`,
    ]);
    await writeFile(at('ext'), names === undefined ? '' : `subjectAltName=${names}\n`);
    const authority = ['-CA', this.cert, '-CAkey', this.key, '-CAcreateserial'];
    await openssl(this.#folder, [
      'x509',
      '-req',
      '-in',
      at('csr'),
      ...authority,
      '-days',
      String(days),
      '-extfile',
      at('ext'),
      '-out',
      at('pem'),
    ]);
    return { cert: at('pem'), key: at('key') };
  }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

async function openssl(folder: string, args: string[]): Promise<void> {
  const { path, env } = await systemBinary({
    names: ['openssl'],
    packages: ['openssl'],
    hint: 'Install it: apt-get install openssl',
  });
  await run(path, args, { cwd: folder, env });
}
