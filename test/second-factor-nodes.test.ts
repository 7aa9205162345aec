import { expect } from 'chai';
import { Secret, TOTP } from 'otpauth';
import type { TotpSetup } from '../server/auth/totp.ts';
import { sharedSecret, startAnotherNode } from './support/another-node.ts';
import type { NodeProcess } from './support/node-process.ts';
import { execute } from './support/tables.ts';
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
