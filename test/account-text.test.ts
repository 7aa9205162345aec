import bcrypt from 'bcrypt';
import { expect } from 'chai';
import type { OwnUser } from '../server/users/present.ts';
import { MAX_BYTES } from '../server/auth/passwords.ts';
import { UnkeyedAccounts } from '../server/users/unkeyed-accounts.ts';
import { hintAtAccounts } from '../server/users/checks.ts';
import { isVisible } from '../server/text/visible.ts';
import { expectProblem, faultsOf } from './support/problems.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('the text of accounts and titles', () => {
  let world: World;
  let ada: TestUser;
  before(async () => {
    world = await createWorld();
    ada = await world.user();
  });
  after(() => world.close());

  const signUp = (email: string, password = PASSWORD) =>
    world.anonymous.post<OwnUser>('/users', { email, password });
  const logIn = (email: string, password = PASSWORD) => world.anonymous.post('/login', { email, password });
  /** An account as a node of the version before makes it. */
  const signUpOnOldNode = async (email: string, password = PASSWORD) =>
    world.pool.query('insert into users (email, username, password_hash) values ($1, $2, $3)', [
      email,
      `old-${Math.random().toString(36).slice(2, 12)}`,
      await bcrypt.hash(password, 4),
    ]);

  for (const [what, one, other] of [
    ['an accent in one character or two', 'jos\u00e9@example.org', 'jose\u0301@example.org'],
    ['case beyond ASCII', 'Привет@example.org', 'привет@EXAMPLE.org'],
    ['a domain in its own letters or as the DNS has it', 'anna@müller.example', 'anna@xn--mller-kva.example'],
    ['a domain in other case and form', 'otto@mu\u0308ller.example', 'otto@MÜLLER.example'],
    ['Korean letters', '한국@example.org'.normalize('NFD'), '한국@example.org'],
  ] as const)
    it(`take for one address, and log in by both forms of, ${what}`, async () => {
      expect((await signUp(one)).body.email).to.equal(one);
      expectProblem(await signUp(other), 409, 'conflict');
      for (const email of [one, other]) expect((await logIn(email)).status, email).to.equal(200);
    });

  it('keep apart addresses that differ in more than case and form', async () => {
    for (const email of ['i@example.com', 'İ@example.com', 'ı@example.com', 'í@example.com'])
      expect((await signUp(email)).status, email).to.equal(201);
  });

  it('accept an address that a browser accepts, and no other', async () => {
    for (const email of [
      'a..b@docomo.example',
      '.a.@docomo.example',
      'bob@intranet',
      "o'brien+x/y=z@example.org",
      `${'l'.repeat(100)}@example.org`,
      'x@1.2.3.4',
      '用户@例え.example',
    ])
      expect((await signUp(email)).status, email).to.equal(201);
    for (const email of [
      ...[
        '@example.org',
        'a@',
        'a b@example.org',
        'a@b c',
        'a@b..c',
        'a@-b',
        'a@b-',
        'a@b_c',
        'a@[::1]',
        'a@b@c',
      ],
      ...[
        'a@ü/b',
        'a@ü%62',
        'a@ü?b',
        'a\u200b@example.org',
        'a@',
        `a@${'l'.repeat(64)}`,
        'a,b@c',
        '"a"@b',
        'a@xn--ü',
      ],
    ])
      expect(faultsOf(await signUp(email)), email).to.deep.equal(['body.email']);
  });

  it('follow a change of the address to another form of it', async () => {
    const [composed, decomposed] = ['zoe\u0308@example.org'.normalize('NFC'), 'zoe\u0308@example.org'];
    await signUp(composed);
    const { body } = await world.anonymous.post<{ access_token: string }>('/login', {
      email: composed,
      password: PASSWORD,
    });
    const answer = await fetch(`${world.url}/users/me`, {
      method: 'PATCH',
      headers: { Authorization: `Bearer ${body.access_token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ email: decomposed, current_password: PASSWORD }),
    });
    expect(answer.status).to.equal(200);
    expectProblem(await signUp(composed), 409, 'conflict');
    expect((await logIn(composed)).status).to.equal(200);
  });

  it('know the accounts that older nodes have made, and leave two with one address apart', async () => {
    const [composed, decomposed] = ['am\u00e9lie@example.org', 'ame\u0301lie@example.org'];
    await signUpOnOldNode(composed, 'password of the first');
    await signUpOnOldNode(decomposed, 'password of the second');
    expect((await logIn(composed, 'password of the first')).status, 'at once, as it was typed').to.equal(200);
    await new UnkeyedAccounts(world.ctx.db, () => undefined).giveKeys();
    expect((await logIn(composed, 'password of the first')).status).to.equal(200);
    expect((await logIn(decomposed, 'password of the second')).status).to.equal(200);
    expect((await logIn('AM\u00c9LIE@example.org', 'password of the first')).status).to.equal(200);
    expectProblem(await signUp('Ame\u0301lie@example.org'), 409, 'conflict');
    const client = await world.pool.connect();
    try {
      expect(await hintAtAccounts(client)).to.match(
        /^Accounts \d+ have the address or the name of another account/,
      );
    } finally {
      client.release();
    }
  });

  describe('a password', () => {
    const [composed, decomposed] = ['pässwörd'.normalize('NFC'), 'pässwörd'.normalize('NFD')];

    it('is one in whatever Unicode form it is typed', async () => {
      for (const [at, [first, second]] of [
        [composed, decomposed],
        [decomposed, composed],
      ].entries()) {
        const email = `form${at}@example.org`;
        expect((await signUp(email, first)).status).to.equal(201);
        for (const typed of [first!, second!]) expect((await logIn(email, typed)).status).to.equal(200);
        expectProblem(await logIn(email, 'passwörd'), 403, 'invalid_credentials');
      }
    });

    it('keeps working that an older version hashed as it was typed, and is then hashed in one form', async () => {
      for (const [at, typed] of [composed, decomposed].entries()) {
        const email = `kept${at}@example.org`;
        await signUpOnOldNode(email, typed);
        for (const again of [decomposed, composed]) expect((await logIn(email, again)).status).to.equal(200);
        await until('the hash of today', async () => {
          const { rows } = await world.pool.query<{ hash: string }>(
            'select password_hash as hash from users where email = $1',
            [email],
          );
          return bcrypt.compare(composed, rows[0]!.hash);
        });
      }
    });

    it(`has at most ${MAX_BYTES} bytes when it is composed`, async () => {
      const letters = (count: number) => 'e\u0301'.repeat(count);
      expect((await signUp('bytes1@example.org', letters(36))).status, 'seventy-two in form C').to.equal(201);
      expect((await logIn('bytes1@example.org', letters(36).normalize('NFC'))).status).to.equal(200);
      expectProblem(await logIn('bytes1@example.org', letters(37)), 403, 'invalid_credentials');
      expect(faultsOf(await signUp('bytes2@example.org', letters(37)))).to.deep.equal(['body.password']);
    });
  });

  describe('a title', () => {
    for (const title of [
      ...[
        '\u3164',
        '\u2800',
        '\u115f\u1160',
        '\uffa0',
        '\u200b',
        '\u200d\ufe0f',
        '\u202e\u2066',
        '\u00ad',
        '\ufeff',
      ],
      ...[
        '\u{e0041}\u{e007f}',
        '\u034f',
        '\u061c',
        '\u180e',
        '\u2064',
        '\u{1d159}',
        '\u{13441}',
        '\u{13430}\u{1343f}',
        '\ufffc',
        '\u0001\u001f',
        ' \u3000\t\u0085',
      ],
    ])
      it(`of ${JSON.stringify(title)}, which shows nothing, is refused`, async () => {
        const answer = await ada.post('/posts', { title, content: '' });
        expect(expectProblem(answer, 422).errors).to.deep.equal([
          {
            loc: ['body', 'title'],
            msg: '"title" must contain a visible character',
            type: 'string.invisible',
          },
        ]);
      });

    it('may hold such characters beside what can be seen', async () => {
      for (const title of [
        '👩\u200d👩\u200d👧',
        '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
        '❤\ufe0f',
        '\u3164a',
        '́',
        '한',
        '⠁',
      ]) {
        expect(isVisible(title)).to.be.true;
        expect((await ada.post('/posts', { title, content: '' })).status, title).to.equal(201);
      }
    });
  });
});
