import { expect } from 'chai';
import bcrypt from 'bcrypt';
import { RefreshTokens } from '../server/auth/refresh-tokens.ts';
import { AccessTokens } from '../server/auth/tokens.ts';
import { createLogger } from '../server/logger.ts';
import { HeldLog } from './support/held-log.ts';

describe('the log of a run, searched for secrets', () => {
  const refreshTokens = new RefreshTokens(['x'.repeat(32)]);
  const { token: refreshToken, hash } = refreshTokens.create(crypto.randomUUID());
  const accessToken = new AccessTokens(['x'.repeat(32)], 60_000).sign(1, crypto.randomUUID());
  const password = 'a password that was planted';

  /** What is found in what the service’s own logger makes of this. */
  function foundIn(...logged: [fields: object, message?: string]): string[] {
    const log = new HeldLog();
    createLogger('trace', { write: (line) => log.read(line) }).trace(...logged);
    // Known only afterwards, as a token is to the one it was made for.
    log.keep({ password: 'another password', refreshToken });
    return log.faults();
  }

  const planted: Record<string, () => [what: string, secret: string]> = {
    'an access token': () => ['an access token', accessToken],
    'a refresh token': () => ['a refresh token', refreshToken],
    'a refresh token amid other letters': () => ['a refresh token', `session-${refreshToken}-of-somebody`],
    'the hash of a refresh token': () => ['a refresh token', hash.toString('hex')],
    'the hash of a password': () => ['the hash of a password', bcrypt.hashSync(password, 4)],
    'a URL with a password': () => ['a URL with a password', 'postgres://tidings:s3cret@127.0.0.1:5432/db'],
    'a URL with a password alone': () => ['a URL with a password', 'redis://:s3cret@127.0.0.1:6379'],
  };
  for (const [name, plant] of Object.entries(planted))
    it(`gives away ${name}, in a field and in a message, and does not repeat it`, () => {
      const [what, secret] = plant();
      for (const faults of [
        foundIn({ note: secret }, 'planted'),
        foundIn({}, `planted: ${secret}`),
        foundIn({ err: new Error(`planted: ${secret}`) }),
      ]) {
        expect(faults).to.have.lengthOf(1);
        expect(faults[0])
          .to.match(new RegExp(`^${what} during`))
          .and.to.contain('planted');
        expect(faults[0]).not.to.contain(secret).and.not.to.contain('s3cret');
      }
    });

  it('gives away a password that is known, from then on', () => {
    const log = new HeldLog();
    log.keep({ password, refreshToken });
    const logger = createLogger('trace', { write: (line) => log.read(line) });
    logger.info({ body: { password } }, 'cut out by the logger itself');
    expect(log.faults()).to.be.empty;
    logger.info({ wrong: { secret: password } }, 'planted');
    expect(log.faults()).to.have.lengthOf(1);
    expect(log.faults()[0])
      .to.match(/^a password during .*planted/)
      .and.not.to.contain(password);
  });

  it('is not taken for one where it holds none', () => {
    const harmless = {
      request_id: crypto.randomUUID(),
      url: 'http://127.0.0.1:3000/posts',
      origin: 'https://app.example.org',
      address: 'ada@example.org',
      digest: 'a'.repeat(64),
      other: refreshTokens.create(crypto.randomUUID()).token,
    };
    expect(foundIn(harmless, 'Tidings is ready at http://127.0.0.1:3000, ask ada@example.org')).to.be.empty;
    expect(foundIn({ err: new Error('with a stack') })).to.be.empty;
  });
});
