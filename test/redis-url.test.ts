import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { ConfigError, readConfig } from '../server/config.ts';
import { Authority, type KeyPair } from './support/certificates.ts';
import { ended, startProgram } from './support/program.ts';

describe('REDIS_URL', () => {
  let folder: string;
  let pair: KeyPair;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidings-redis-url-'));
    pair = await (await Authority.make(folder, 'ca')).sign('client');
    await writeFile(join(folder, 'root.pem'), rootCertificates[0] ?? '');
  });
  after(() => rm(folder, { recursive: true }));

  const withFiles = (url: string) => url.replaceAll('@@', `${folder}/`);
  const refusal = (url: string): string => {
    try {
      readConfig({ REDIS_URL: withFiles(url) });
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    return 'none';
  };

  const forms = /must be redis:.*sentinel/;
  const bad: [url: string, said: RegExp][] = [
    ...[
      'redis:',
      'redis:a',
      'redis:/a',
      'redis://:6379',
      'redis://a:99999',
      'redis://a:x',
      'redis://a,b',
      'redis://a,x',
      'redis://::1',
      'redis://[::1',
      'redis://a b',
      'redis://u:p#w@a',
      'redis://u:p/w@a',
      'redis://u:p?w@a',
      'redis://u:p,w@a',
      'redis+sentinel://a:x/n',
      'redis-sentinel://a/n',
      'redis+cluster://a',
      'redis+unix:///x',
      'unix:///x',
      'valkey://a',
      'sentinel://a/n',
      'http://a',
      '"redis://a"',
      'a:6379',
      '/run/redis.sock',
    ].map((url): [string, RegExp] => [url, forms]),
    ['redis://', /name a host/],
    ['redis:///', /name a host/],
    ['redis://a%2Fb', /name a host/],
    ['redis://müller.example', /name a host/],
    ['redis+sentinel:///n', /name a host/],
    ['redis+sentinel://a,/n', /name a host/],
    ['redis+sentinel://u:p@w@a,b/n', /name a host/],
    ['redis://a:0', /port from 1/],
    ['redis+sentinel://a,b:0/n', /port from 1/],
    ['redis://a/x', /number for the database/],
    ['redis://a/-1', /number for the database/],
    ['redis://a/0/1', /number for the database/],
    ['redis://a/999999', /number for the database/],
    ['redis+sentinel://a/n/x', /number for the database/],
    ['redis://redis://a', /number for the database/],
    ['redis://a#x', /%23/],
    ['redis://u:100%@a', /%25/],
    ['redis://u:%ff@a', /%25/],
    ['redis://a?db=1', /parameters other than/],
    ['rediss://a?tls=true', /parameters other than/],
    ['redis://a?password=hunter2', /parameters other than/],
    ['redis+sentinel://a/n?sentinel_usrname=x', /parameters other than/],
    ['redis://a?sentinel_password=hunter2', /redis\+sentinel/],
    ['redis://a?family=5', /0, 4 or 6/],
    ['redis://a?family=', /0, 4 or 6/],
    ['redis://a?family=4&family=6', /each parameter once/],
    ['redis://a:1,rediss://b:2', /all nodes/],
    ['redis://a/1,redis://b/1', /only 0/],
    ['redis://a,redis://b/1', /same user, password and parameters/],
    ['redis://u:p@a,redis://v:hunter2@b', /same user, password and parameters/],
    ['redis://a,redis://v:hunter2@b', /same user, password and parameters/],
    ['redis://a,redis://b?family=4', /same user, password and parameters/],
    ['redis+sentinel://a', /name the primary/],
    ['redis+sentinel://a,b/', /name the primary/],
    ['redis+sentinel://a/n/1/2', /name the primary/],
    ['redis://a?ca=@@root.pem', /rediss:/],
    ['redis+sentinel://a/n?ca=@@root.pem', /rediss:/],
    ['rediss://a?ca=', /readable file in the parameter ca/],
    ['rediss://a?ca=@@none.pem', /readable file in the parameter ca/],
    ['rediss://a?ca=@@', /readable file in the parameter ca/],
    ['rediss://a?ca=@@client.key', /certificates in the parameter ca/],
    ['rediss://a?cert=@@client.pem', /both or none/],
    ['rediss://a?key=@@client.key', /both or none/],
    ['rediss://a?cert=@@client.pem&key=@@ca.key', /parameters cert and key/],
    ['rediss://a?cert=@@client.key&key=@@client.key', /parameters cert and key/],
  ];
  for (const [url, said] of bad)
    it(`${url} is refused with a sentence`, () => {
      const message = refusal(url);
      expect(message)
        .to.match(/^REDIS_URL must /)
        .and.match(said);
      expect(message).to.not.contain('hunter2');
    });

  for (const url of [
    'redis://a',
    'REDIS://A.example:1/15',
    'redis://[::1]:6379',
    'redis://127.0.0.1',
    'redis://:p%2Cw@a_b',
    'redis://u:p@a,redis://b,redis://u:p@c/0',
    'rediss://a?ca=@@root.pem&cert=@@client.pem&key=@@client.key&family=6',
    'rediss+sentinel://u:p@a,b:1,[::1]:2/n/3?sentinel_username=v&sentinel_password=q&ca=@@root.pem',
  ])
    it(`${url} is accepted`, () => {
      expect(pair.cert).to.match(/client\.pem$/);
      expect(refusal(url)).to.equal('none');
    });

  it('that is refused ends the program with 78', async () => {
    const program = startProgram({ DATA_DIR: folder, REDIS_URL: 'redis://a,redis://v:hunter2@b' });
    await ended(program);
    expect(program.code).to.equal(78);
    expect(program.stderr).to.match(/^REDIS_URL must have the same user, password and parameters.*\n$/);
  });
});
