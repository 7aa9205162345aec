import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import { readConfig } from '../server/config.ts';
import { examine } from '../server/doctor/examine.ts';
import { Seal } from '../server/mail/seal.ts';
import type { TotpSetup } from '../server/auth/totp.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import type { NodeProcess } from './support/node-process.ts';
import { execute, rows } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { Api, createWorld, PASSWORD, type World } from './support/world.ts';

describe('a second factor on two nodes', () => {
  let world: World;
  let node: NodeProcess;
  before(async () => {
    world = await createWorld(sharedSecret);
    node = await startAnotherNode(world, 'another');
  });
  after(async () => {
    await node?.stop();
    await world?.close();
  });

  it('lets in with each code on one of them', async () => {
    const user = await world.user();
    const { secret } = (await user.post<TotpSetup>('/users/me/totp', { password: PASSWORD })).body;
    const code = () => TOTP.generate({ secret: Secret.fromBase32(secret) });
    const confirmed = await user.post<{ recovery_codes: string[] }>('/users/me/totp/confirm', {
      code: code(),
    });
    await execute(world, 'update totp_secrets set last_step = 0');
    for (const otp of [code(), ...confirmed.body.recovery_codes.slice(0, 4)]) {
      const logins = [world.url, node.url, world.url, node.url].map((url) =>
        new Api(url).post('/login', { email: user.email, password: PASSWORD, otp }),
      );
      const statuses = (await Promise.all(logins)).map(({ status }) => status);
      expect(statuses.sort()).to.deep.equal([200, 403, 403, 403]);
    }
  });
});

describe('what is encrypted with a secret of the service', () => {
  const [NEWER, OLDER] = ['newer', 'older'].map((name) => name.padEnd(40, '-')) as [string, string];
  /** More than are read at once. */
  const MAILS = 700;
  let world: World;
  before(async () => {
    world = await createWorld({ JWT_SECRET: OLDER });
  });
  after(() => world?.close());

  async function withNode<T>(secrets: string, use: (node: NodeProcess) => Promise<T>): Promise<T> {
    const node = await startAnotherNode(world, 'another', { JWT_SECRET: secrets });
    try {
      return await use(node);
    } finally {
      await node.stop();
    }
  }

  /** What the doctor says that is configured like this. */
  async function examined(secrets: string) {
    const config = readConfig({ JWT_SECRET: secrets });
    const looked = await examine(config, world.databaseUrl, { schema: false });
    const about = looked.filter(({ what }) => what === 'sealed secrets');
    return [
      ...about.flatMap(({ findings }) => findings.map(({ what }) => what)),
      ...about.flatMap(({ hint }) => hint ?? []),
    ];
  }

  it('outlives it: it is encrypted anew in the background, and the doctor counts what is not yet', async () => {
    const user = await world.user();
    const { secret } = (await user.post<TotpSetup>('/users/me/totp', { password: PASSWORD })).body;
    const code = () => TOTP.generate({ secret: Secret.fromBase32(secret) });
    expect((await user.post<object>('/users/me/totp/confirm', { code: code() })).status).to.equal(200);
    const url = 'https://hooks.example/';
    const hook = await user.post<{ id: string }>('/users/me/webhooks', { url, password: PASSWORD });
    expect(hook.status).to.equal(201);
    // A paused one, too.
    await execute(
      world,
      `update webhooks set paused = 'user', previous_secret = secret, previous_until = now() + interval '1 day'`,
    );
    await execute(
      world,
      `insert into mails (user_id, kind, message_id, content, expires_at)
       select $1, 'none', number, $2, now() + interval '1 day' from generate_series(1, $3) number`,
      [user.id, new Seal([OLDER], 'mails').close('{}'), MAILS],
    );

    const all = [
      'secrets of authenticator apps (1)',
      'secrets of webhooks (1)',
      'earlier secrets of webhooks (1)',
      `waiting mails (${MAILS})`,
    ];
    expect(await examined(OLDER)).to.deep.equal([]);
    expect(await examined(`${NEWER},${OLDER}`)).to.deep.equal([
      `Still sealed with an older value of JWT_SECRET: ${all.join(', ')}. Keep it until there are none.`,
    ]);
    expect(await examined(NEWER)).to.deep.equal(
      all.map(
        (what) =>
          `Cannot be read: ${what}. They were sealed with a value that is no longer in JWT_SECRET. Put it back behind the others.`,
      ),
    );
    await withNode(`${NEWER},${OLDER}`, () =>
      until('it to be encrypted anew', async () => (await examined(NEWER)).length === 0),
    );
    expect(await examined(`${NEWER},${OLDER}`)).to.deep.equal([]);
    const sealed = await rows<{ content: Buffer }>(world, 'select content from mails', []);
    const seal = new Seal([NEWER], 'mails');
    expect(new Set(sealed.map(({ content }) => seal.open(content)))).to.deep.equal(new Set(['{}']));
    await execute(world, 'update totp_secrets set last_step = 0');
    await withNode(NEWER, async (node) => {
      const login = { email: user.email, password: PASSWORD, otp: code() };
      expect((await new Api(node.url).post('/login', login)).status).to.equal(200);
    });
  });
});
