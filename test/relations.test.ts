import { expect } from 'chai';
import { examine } from '../server/doctor/examine.ts';
import { repair } from '../server/doctor/repair.ts';
import { MOST_RELATIONS, type RelationView } from '../server/relations/commands.ts';
import type { RelationEntry } from '../server/relations/present.ts';
import { expectProblem, faultsOf, withoutRequestId } from './support/problems.ts';
import { caughtUp, execute, headOf, numberOf, rows, whileUnnumbered } from './support/tables.ts';
import { until } from './support/waiting.ts';
import { type Answer, createWorld, type TestUser, type World } from './support/world.ts';

interface Told {
  seq: number;
  name: string;
  audience: string;
  data: Record<string, unknown>;
  relation: { added: boolean } | null;
}

describe('follows, blocks and mutes', () => {
  let world: World;
  let ada: TestUser;
  let ben: TestUser;

  before(async () => {
    world = await createWorld({}, undefined, undefined, { block: 50 });
    // The answers here are those after the end, however slow the machine.
    Object.assign(world.ctx.accountTasks, { timeLimit: 60_000 });
  });
  beforeEach(async () => {
    ada = await world.user();
    ben = await world.user();
  });
  afterEach(async () => {
    await headOf(world);
    expect(await faults()).to.deep.equal([]);
  });
  after(() => world.close());

  const put = (user: TestUser, other: { id: number }, kind: string) =>
    user.put<RelationView>(`/users/${other.id}/${kind}`);
  const end = (user: TestUser, other: { id: number }, kind: string) =>
    user.delete<RelationView>(`/users/${other.id}/${kind}`);
  const named = ({ id, username }: TestUser) => ({ id, username });

  /** What the doctor finds wrong with relations. */
  async function faults(): Promise<string[]> {
    const examined = await examine(world.ctx.config, world.databaseUrl, { schema: false });
    return examined
      .filter(({ what }) => what === 'relations')
      .flatMap(({ findings }) => findings.map(({ what }) => what));
  }

  async function toldSince(seq: number): Promise<Told[]> {
    await headOf(world);
    return rows<Told>(
      world,
      `select seq, name, audience, data, relation from event_log
       where seq > $1 and entity_type in ('follow', 'block', 'mute') order by seq`,
      [seq],
    );
  }

  async function ok(answer: Promise<Answer<RelationView>>): Promise<RelationView> {
    const { status, body } = await answer;
    expect(status, JSON.stringify(body)).to.equal(200);
    return body;
  }

  for (const [kind, flag] of [
    ['follow', 'followed'],
    ['block', 'blocked'],
    ['mute', 'muted'],
  ] as const) {
    describe(`a ${kind}`, () => {
      const none = { followed: false, blocked: false, muted: false };

      it('is set once, and answers with the number of its event, however often it is asked for', async () => {
        const before = await headOf(world);
        const first = await ok(put(ada, ben, kind));
        const again = await ok(put(ada, ben, kind));
        const told = await toldSince(before);
        const seq = told.find(({ relation }) => relation)?.seq;
        expect(first).to.deep.equal({ user_id: ben.id, ...none, [flag]: true, seq });
        expect(again).to.deep.equal(first);
        expect(told).to.have.lengthOf(kind === 'follow' ? 2 : 1);
        expect(world.ctx.feed.seq).to.be.at.least(first.seq);
      });

      it('is ended once, and answers with the number of that event', async () => {
        await ok(put(ada, ben, kind));
        const before = await headOf(world);
        const ended = await ok(end(ada, ben, kind));
        const told = await toldSince(before);
        expect(ended).to.deep.equal({
          user_id: ben.id,
          ...none,
          seq: told.find(({ relation }) => relation)?.seq,
        });
        const again = await ok(end(ada, ben, kind));
        expect(again).to.deep.equal({ ...ended, seq: await headOf(world) });
        expect(await toldSince(before)).to.have.lengthOf(kind === 'follow' ? 2 : 1);
        expect(
          await numberOf(world, 'select count(*) from stream_relations where user_id = $1', [ada.id]),
        ).to.equal(0);
      });

      it('of nobody is a 404, of oneself a 422, and neither is told', async () => {
        const gone = await world.user();
        expect((await gone.delete('/users/me', { password: gone.password })).status).to.equal(204);
        const before = await headOf(world);
        for (const change of [put, end]) {
          expectProblem(await change(ada, { id: 2 ** 40 }, kind), 404);
          expectProblem(await change(ada, gone, kind), 404);
          expect(faultsOf(await change(ada, ada, kind))).to.deep.equal(['path.id']);
        }
        expect(faultsOf(await ada.put(`/users/0/${kind}`))).to.deep.equal(['path.id']);
        expect(faultsOf(await ada.put(`/users/me/${kind}`))).to.deep.equal(['path.id']);
        expectProblem(await world.anonymous.put(`/users/${ben.id}/${kind}`), 401);
        expect(await toldSince(before)).to.be.empty;
      });

      it('ends up as the last of many changes at once has told', async () => {
        const changes = Array.from({ length: 40 }, (_, at) => (at % 2 ? end : put)(ada, ben, kind));
        for (const answer of await Promise.all(changes)) expect(answer.status).to.equal(200);
        await headOf(world);
        const told = await rows<{ added: boolean; seq: number }>(
          world,
          `select (relation ->> 'added')::boolean as added, seq from event_log
           where (relation ->> 'user_id')::bigint = $1 order by seq`,
          [ada.id],
        );
        // Each told change was one.
        expect(told.map(({ added }) => added)).to.deep.equal(told.map((_, at) => at % 2 === 0));
        const added = told.at(-1)?.added === true;
        expect(await rows(world, 'select kind from relations where user_id = $1', [ada.id])).to.have.lengthOf(
          added ? 1 : 0,
        );
      });

      it(`is refused beyond ${MOST_RELATIONS}, and what is there may be said again`, async () => {
        await execute(
          world,
          `with others as (
             insert into users (email, username, password_hash)
             select n || '-${kind}@example.org', 'many-${kind}-' || n, '' from generate_series(1, $2::integer) n returning id
           ), written as (
             insert into relations (user_id, kind, target_id) select $1, '${kind}', id from others returning user_id, target_id
           )
           insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, relation)
           select '${kind}:added', '${kind}', target_id, 'user:' || user_id, '{}', 'nothing', '{}', '{}',
             json_build_object('kind', '${kind}', 'user_id', user_id, 'target_id', target_id, 'added', true)
           from written`,
          [ada.id, MOST_RELATIONS - 1],
        );
        await headOf(world);
        await ok(put(ada, ben, kind));
        const before = await headOf(world);
        const cid = await world.user();
        const { detail } = expectProblem(await put(ada, cid, kind), 409);
        expect(detail).to.contain(String(MOST_RELATIONS));
        await ok(put(ada, ben, kind));
        expect(await toldSince(before)).to.be.empty;
        await ok(end(ada, ben, kind));
        await ok(put(ada, cid, kind));
      });
    });
  }

  it('are saved, and a 503 says so, while nothing gets a number', async () => {
    await whileUnnumbered(world, async () => {
      for (const answer of await Promise.all([put(ada, ben, 'follow'), put(ada, ben, 'follow')])) {
        const { detail } = expectProblem(answer, 503);
        expect(detail).to.contain('saved');
        expect(answer.headers.get('retry-after')).to.match(/^\d+$/);
      }
    });
    const { seq } = await ok(put(ada, ben, 'follow'));
    expect(
      await numberOf(world, 'select since_seq from stream_relations where user_id = $1', [ada.id]),
    ).to.equal(seq);
  });

  it('are told to whom they concern alone, on all of their devices', async () => {
    const before = await headOf(world);
    await ok(put(ada, ben, 'follow'));
    await ok(end(ada, ben, 'follow'));
    await ok(put(ada, ben, 'mute'));
    await ok(end(ada, ben, 'mute'));
    await ok(put(ada, ben, 'block'));
    await ok(end(ada, ben, 'block'));
    const both = { follower: named(ada), followee: named(ben) };
    const hidden = { user: named(ben) };
    expect((await toldSince(before)).map(({ name, audience, data }) => [name, audience, data])).to.deep.equal(
      [
        ['follow:added', `user:${ben.id}`, both],
        ['follow:added', `user:${ada.id}`, { ...both, refresh: true }],
        ['follow:removed', `user:${ben.id}`, both],
        ['follow:removed', `user:${ada.id}`, both],
        ['mute:added', `user:${ada.id}`, hidden],
        ['mute:removed', `user:${ada.id}`, hidden],
        ['block:added', `user:${ada.id}`, hidden],
        ['block:removed', `user:${ada.id}`, hidden],
      ],
    );
  });

  it('end with a block, both ways and at once, and do not come back with its end', async () => {
    await ok(put(ada, ben, 'follow'));
    await ok(put(ben, ada, 'follow'));
    await ok(put(ada, ben, 'mute'));
    const before = await headOf(world);
    const blocked = await ok(put(ada, ben, 'block'));
    expect(blocked).to.include({ followed: false, blocked: true, muted: true });
    expect((await toldSince(before)).map(({ name, audience, data }) => [name, audience, data])).to.deep.equal(
      [
        ['follow:removed', `user:${ben.id}`, { follower: named(ada), followee: named(ben) }],
        ['follow:removed', `user:${ada.id}`, { follower: named(ada), followee: named(ben) }],
        ['follow:removed', `user:${ada.id}`, { follower: named(ben), followee: named(ada) }],
        ['follow:removed', `user:${ben.id}`, { follower: named(ben), followee: named(ada) }],
        ['block:added', `user:${ada.id}`, { user: named(ben) }],
      ],
    );
    const ofBoth = [[ada.id, ben.id]];
    const kept = () =>
      rows<{ kind: string }>(
        world,
        'select kind from relations where user_id = any($1) order by kind',
        ofBoth,
      );
    expect((await kept()).map(({ kind }) => kind)).to.deep.equal(['block', 'mute']);
    await ok(end(ada, ben, 'block'));
    expect((await kept()).map(({ kind }) => kind)).to.deep.equal(['mute']);
  });

  it('are refused with one text where a block forbids them, on either side', async () => {
    await ok(put(ada, ben, 'block'));
    const before = await headOf(world);
    const [byBlocker, byBlocked] = [await put(ada, ben, 'follow'), await put(ben, ada, 'follow')];
    expectProblem(byBlocker, 403, 'forbidden');
    expect(withoutRequestId(byBlocked)).to.deep.equal(withoutRequestId(byBlocker));
    expect(JSON.stringify(byBlocked.body)).not.to.match(/block/i);
    expect(await toldSince(before)).to.be.empty;
    // What concerns only oneself stays possible, and a second block tells nothing of the first.
    await ok(put(ben, ada, 'mute'));
    await ok(put(ben, ada, 'block'));
    await ok(end(ada, ben, 'block'));
    expectProblem(await put(ada, ben, 'follow'), 403, 'forbidden');
    await ok(end(ben, ada, 'block'));
    await ok(put(ada, ben, 'follow'));
  });

  it('of two who follow and block each other at once leave no follow beside a block', async () => {
    for (let turn = 0; turn < 10; turn += 1) {
      const answers = await Promise.all([
        put(ada, ben, 'follow'),
        put(ben, ada, 'block'),
        put(ben, ada, 'follow'),
        put(ada, ben, 'block'),
      ]);
      for (const { status } of answers) expect(status).to.be.oneOf([200, 403]);
      const kinds = await rows<{ kind: string }>(
        world,
        'select kind from relations where user_id = any($1)',
        [[ada.id, ben.id]],
      );
      expect(kinds.map(({ kind }) => kind)).to.deep.equal(['block', 'block']);
      await Promise.all([end(ada, ben, 'block'), end(ben, ada, 'block')]);
    }
  });

  describe('in lists', () => {
    const ids = (entries: RelationEntry[]) => entries.map(({ user }) => user.id);

    async function walk(user: TestUser, first: string): Promise<number[][]> {
      const pages: number[][] = [];
      for (let at: string | undefined = first; at !== undefined;) {
        const { status, headers, body }: Answer<RelationEntry[]> = await user.get<RelationEntry[]>(at);
        expect(status, at).to.equal(200);
        pages.push(ids(body));
        at = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
      }
      return pages;
    }

    it('are there at once, newest first, page by page, each once', async () => {
      const others = [];
      for (let at = 0; at < 5; at += 1) others.push(await world.user());
      for (const other of others) {
        await ok(put(other, ada, 'follow'));
        await ok(put(ada, other, 'follow'));
        await ok(put(ada, other, 'mute'));
      }
      await ok(put(ada, ben, 'block'));
      // Some that began in the same moment.
      await execute(
        world,
        `update relations set created_at = '2026-01-01' where target_id = any($1) or user_id = any($1)`,
        [others.slice(0, 3).map(({ id }) => id)],
      );
      const expected = [others[4], others[3], others[2], others[1], others[0]].map((user) => user?.id);
      for (const path of [`/users/${ada.id}/followers`, `/users/${ada.id}/following`, '/users/me/mutes']) {
        expect((await walk(ada, path)).flat(), path).to.deep.equal(expected);
        const pages = await walk(ada, `${path}?limit=2`);
        expect(pages.flat(), path).to.deep.equal(expected);
        expect(pages.map((page) => page.length)).to.deep.equal([2, 2, 1]);
      }
      const { body, headers } = await ada.get<RelationEntry[]>('/users/me/blocks');
      expect(body.map(({ user }) => user)).to.deep.equal([named(ben)]);
      expect(body[0]?.created_at).to.match(/^\d{4}-\d\d-\d\dT.*Z$/);
      expect(Number(headers.get('x-feed-seq'))).to.equal(await caughtUp(world));
      expect(headers.get('x-feed-epoch')).to.equal(world.ctx.feed.epoch);
      expect((await ben.get<RelationEntry[]>('/users/me/blocks')).body).to.deep.equal([]);
      expect(ids((await ben.get<RelationEntry[]>(`/users/${ada.id}/followers`)).body)).to.deep.equal(
        expected,
      );
    });

    it('do not shift for a reader when others begin or end', async () => {
      const others = [];
      for (let at = 0; at < 4; at += 1) others.push(await world.user());
      for (const other of others) await ok(put(other, ada, 'follow'));
      const first = await ada.get<RelationEntry[]>(`/users/${ada.id}/followers?limit=2`);
      const next = /^<([^>]+)>/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
      await ok(put(ben, ada, 'follow'));
      await ok(end(others[2]!, ada, 'follow'));
      expect(ids((await ada.get<RelationEntry[]>(next)).body)).to.deep.equal([others[1]!.id, others[0]!.id]);
    });

    it('refuse the cursor of another list, and are a 404 for nobody', async () => {
      await ok(put(ada, ben, 'follow'));
      await ok(put(ada, await world.user(), 'follow'));
      const { headers } = await ada.get(`/users/${ada.id}/following?limit=1`);
      const cursor = /cursor=([^&>]+)/.exec(headers.get('link') ?? '')?.[1] ?? '';
      expect((await ada.get(`/users/${ada.id}/following?cursor=${cursor}`)).status).to.equal(200);
      for (const path of [`/users/${ada.id}/followers`, '/users/me/blocks', '/users/me/mutes'])
        for (const bad of [cursor, 'x', Buffer.from('["followers",1.5,1]').toString('base64url')])
          expect(faultsOf(await ada.get(`${path}?cursor=${bad}`)), path).to.deep.equal(['query.cursor']);
      expectProblem(await ada.get(`/users/${2 ** 40}/followers`), 404);
      expect(faultsOf(await ada.get(`/users/${ada.id}/followers?limit=0`))).to.deep.equal(['query.limit']);
      expectProblem(await world.anonymous.get(`/users/${ada.id}/followers`), 401);
    });
  });

  describe('of an account that is deleted', () => {
    const MANY = 450; // three pieces

    it('end, each told to the other one without a name, and no row has the name any more', async () => {
      const gone = await world.user('soon-forgotten');
      const cid = await world.user();
      await ok(put(gone, ada, 'follow'));
      await ok(put(ben, gone, 'follow'));
      await ok(put(cid, gone, 'block'));
      await ok(put(cid, gone, 'mute'));
      await ok(put(gone, ben, 'mute'));
      // What has ended long ago names the account as well.
      await ok(put(ada, gone, 'follow'));
      await ok(end(ada, gone, 'follow'));
      const before = await headOf(world);
      expect((await gone.delete('/users/me', { password: gone.password })).status).to.equal(204);
      const idsIn = (data: Record<string, unknown>) =>
        ['follower', 'followee', 'user'].flatMap(
          (who) => (data[who] as { id: number } | undefined)?.id ?? [],
        );
      const told = (await toldSince(before)).map(({ name, audience, data }) => [
        name,
        audience,
        ...idsIn(data),
      ]);
      expect(told).to.have.deep.members([
        ['follow:removed', `user:${ada.id}`, gone.id, ada.id],
        ['follow:removed', `user:${ben.id}`, ben.id, gone.id],
        ['block:removed', `user:${cid.id}`, gone.id],
        ['mute:removed', `user:${cid.id}`, gone.id],
        ['mute:removed', `user:${gone.id}`, ben.id],
      ]);
      for (const table of ['relations', 'stream_relations'])
        expect(
          await numberOf(world, `select count(*) from ${table} where user_id = $1 or target_id = $1`, [
            gone.id,
          ]),
          table,
        ).to.equal(0);
      const naming = () =>
        numberOf(world, `select count(*) from event_log where data::text like '%' || $1 || '%'`, [
          gone.username,
        ]);
      await until('the name to be out of the log', async () => (await naming()) === 0);
      for (const user of [ada, ben, cid]) {
        const { body } = await user.get<object>('/events?after=0&limit=500');
        expect(JSON.stringify(body)).not.to.contain(gone.username);
        expect(JSON.stringify(body)).to.contain('"redacted":true');
      }
    });

    it('leaves no name where it had ended all of them before', async () => {
      const gone = await world.user('long-forgotten');
      await ok(put(gone, ada, 'follow'));
      await ok(end(gone, ada, 'follow'));
      await ok(put(ben, gone, 'mute'));
      await ok(end(ben, gone, 'mute'));
      await headOf(world);
      expect((await gone.delete('/users/me', { password: gone.password })).status).to.equal(204);
      const naming = () =>
        numberOf(world, `select count(*) from event_log where data::text like '%' || $1 || '%'`, [
          gone.username,
        ]);
      await until('the name to be out of the log', async () => (await naming()) === 0);
      expect(await numberOf(world, 'select count(*) from users where id = $1', [gone.id])).to.equal(0);
    });

    it('are seldom looked at while nothing gets a number, and the account ends when it does', async () => {
      const gone = await world.user();
      await ok(put(ben, gone, 'follow'));
      await headOf(world);
      const looks = new Set<string>();
      let lasted = 0;
      const { deleting } = await whileUnnumbered(world, async () => {
        const asked = gone.delete('/users/me', { password: gone.password });
        const began = Date.now();
        // A busy machine looks later, and not more often.
        while (Date.now() - began < 2000 || looks.size < 2) {
          for (const { worked_at } of await rows<{ worked_at: string }>(
            world,
            'select worked_at::text from account_tasks where user_id = $1',
            [gone.id],
          ))
            looks.add(worked_at);
          lasted = Date.now() - began;
        }
        return { deleting: asked };
      });
      expect((await deleting).status).to.equal(204);
      // After 20, 40, 80 … ms, and then every half second.
      expect(looks.size).to.be.at.most(6 + lasted / 500);
      expect(await numberOf(world, 'select count(*) from users where id = $1', [gone.id])).to.equal(0);
    });

    it('end in pieces, however many they are', async () => {
      const gone = await world.user();
      await execute(
        world,
        `with others as (
           insert into users (email, username, password_hash)
           select n || '-fan@example.org', 'fan-' || n, '' from generate_series(1, $2::integer) n returning id
         ), written as (
           insert into relations (user_id, kind, target_id) select id, 'follow', $1 from others returning user_id
         )
         insert into event_outbox (name, entity_type, entity_id, audience, topics, supersedes, redaction, data, relation)
         select 'follow:added', 'follow', user_id, 'user:' || user_id, '{}', 'nothing', '{}', '{}',
           json_build_object('kind', 'follow', 'user_id', user_id, 'target_id', $1::bigint, 'added', true)
         from written`,
        [gone.id, MANY],
      );
      const before = await headOf(world);
      expect((await gone.delete('/users/me', { password: gone.password })).status).to.equal(204);
      expect(await toldSince(before)).to.have.lengthOf(MANY);
      expect(
        await numberOf(world, 'select count(*) from stream_relations where target_id = $1', [gone.id]),
      ).to.equal(0);
      expect(await numberOf(world, 'select count(*) from account_tasks')).to.equal(0);
    });
  });

  it('that differ from what was told are found by doctor, and told as they are', async () => {
    await ok(put(ada, ben, 'follow'));
    await ok(put(ada, ben, 'block'));
    await ok(end(ada, ben, 'block'));
    const cid = await world.user();
    await ok(put(ada, cid, 'follow'));
    await ok(put(ada, cid, 'mute'));
    await ok(put(ben, cid, 'block'));
    // By hand: one begins, one ends, one is lost to the stream, and one is in it alone.
    await execute(world, `insert into relations (user_id, kind, target_id) values ($1, 'block', $2)`, [
      ada.id,
      ben.id,
    ]);
    await execute(world, `delete from relations where user_id = $1 and kind = 'mute'`, [ada.id]);
    await execute(world, `delete from stream_relations where user_id = $1 and target_id = $2`, [
      ada.id,
      cid.id,
    ]);
    await execute(
      world,
      `insert into stream_relations (user_id, kind, target_id, since_seq) values ($1, 'mute', $2, 1)`,
      [ben.id, ada.id],
    );
    const by = (kind: string, user: TestUser, other: TestUser) =>
      `The ${kind} of user ${other.id} by user ${user.id}`;
    expect(await faults()).to.deep.equal([
      `${by('block', ada, ben)}: the log says it is not there, but it is.`,
      `${by('follow', ada, cid)}: the stream does not go by it.`,
      `${by('mute', ada, cid)}: the log says it began, but it is not there.`,
      `${by('mute', ben, ada)}: the log says it began, but it is not there.`,
    ]);
    for (const { findings } of await examine(world.ctx.config, world.databaseUrl, { schema: false }))
      for (const finding of findings) await repair(world.ctx.db, finding);
    await until(
      'all of it to be told',
      async () => (await numberOf(world, 'select count(*) from event_outbox')) === 0,
    );
    const stream = await rows(
      world,
      'select user_id, kind, target_id from stream_relations where user_id = any($1) order by 1, 2, 3',
      [[ada.id, ben.id]],
    );
    expect(stream).to.deep.equal([
      { user_id: ada.id, kind: 'block', target_id: ben.id },
      { user_id: ada.id, kind: 'follow', target_id: cid.id },
      { user_id: ben.id, kind: 'block', target_id: cid.id },
    ]);
  });
});
