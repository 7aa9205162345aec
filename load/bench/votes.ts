import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeAccounts } from '../accounts.ts';
import { call } from '../rest.ts';
import { startBare } from './bare.ts';
import { Crowd } from './crowd.ts';
import { type Measured, measured, MILLISECONDS, requestBytes } from './http-driver.ts';
import { type Line, newLine } from './rounds.ts';
import { type Stage, withClient } from './stage.ts';

const VOTERS = 500;
const POSTS = 1000;
const LISTENERS = 20;
/** How long pgbench votes: as long as we do. */
const SECONDS = MILLISECONDS / 1000;
/** pgbench's clients: more of them only queue longer for the hot row. */
const CLIENTS = 32;

/** Votes on one post and on many, against one transaction per vote, and what a client hears of them. */
export async function votes(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  const server = await stage.server(databaseUrl);
  const accounts = await makeAccounts(server.url, Math.ceil(VOTERS / stage.scale));
  const tokens = accounts.map((account) => account.token);
  const posts = Math.ceil(POSTS / stage.scale);
  const postIds: number[] = [];
  for (let at = 0; at < posts; at += 1) {
    const body = { title: `Post ${at}`, content: 'To be voted on' };
    const answer = await call(server.url, 'POST', '/posts', { token: tokens[0] ?? '', body });
    postIds.push((answer.body as { id: number }).id);
  }
  await withClient(databaseUrl, async (client) => {
    await client.query(`
      create table bare_tallies (post_id bigint primary key, votes integer not null default 0);
      create table bare_votes (user_id bigint, post_id bigint, primary key (user_id, post_id));
      create sequence bare_voters;
      insert into bare_tallies select generate_series(1, ${posts});
    `);
  });
  // First: nobody may have voted yet.
  const requests = await voteRequests(stage, server, tokens, postIds);
  const crowd = await Crowd.gather(server.url, tokens, LISTENERS);
  stage.after(() => crowd.end());
  const one = newLine({
    what: 'votes per second on one post, 500 voters at once',
    unit: '/s',
    limit: 'pgbench, one transaction per vote (insert + update of the hot row)',
    reach: { atLeast: 6 },
  });
  const many = newLine({
    ...one,
    what: 'votes per second spread over 1,000 posts',
    reach: { atLeast: 2 },
  });
  const frames = newLine({
    what: 'tally messages per client and second under those votes',
    unit: '/s',
    limit: 'ten',
    reach: { atMost: 10 },
  });
  for (let round = 0; round < stage.rounds; round += 1) {
    for (const { line, spread } of [
      { line: one, spread: 1 },
      { line: many, spread: posts },
    ]) {
      const heard = crowd.tallyFrames;
      const cast = await castVotes(server, tokens, postIds.slice(0, spread));
      line.ours.push(cast.rate);
      await new Promise((resolve) => setTimeout(resolve, 1500)); // for the last report
      frames.ours.push((crowd.tallyFrames - heard) / LISTENERS / cast.seconds);
      line.theirs.push(await pgbench(databaseUrl, spread));
    }
  }
  return [one, many, frames, requests];
}

/** What a vote over many posts is to the process, beside a handler that reads the same JSON and answers the same bytes. */
async function voteRequests(
  stage: Stage,
  server: { url: string; pid: number },
  tokens: readonly string[],
  postIds: readonly number[],
): Promise<Line> {
  const bare = await startBare('http');
  stage.after(() => bare.stop());
  const ours = strictVotes(tokens, postIds);
  const theirs = strictVotes(tokens, postIds);
  bare.say({ type: 'answer', body: (await measured(server, 201, ours, tokens.length)).body });
  await measured(bare, 201, theirs, tokens.length);
  const line = newLine({
    what: `CPU of a vote request, ${tokens.length} voters over ${postIds.length} posts`,
    unit: 'ms CPU',
    limit: 'a bare Express POST that reads the same JSON and answers the same bytes',
    reach: { atMost: 1.5 },
  });
  for (let round = 0; round < stage.rounds; round += 1) {
    line.ours.push((await measured(server, 201, ours, tokens.length)).cpu);
    line.theirs.push((await measured(bare, 201, theirs, tokens.length)).cpu);
  }
  return line;
}

/** Every voter votes and takes the vote back in turns, on one post after the other. */
async function castVotes(
  server: { url: string; pid: number },
  tokens: readonly string[],
  postIds: readonly number[],
): Promise<Measured> {
  const turns = tokens.map((_token, at) => at);
  const next = (voter: number) => {
    const turn = turns[voter] ?? 0;
    turns[voter] = turn + 1;
    const postId = postIds[Math.floor(turn / 2) % postIds.length] ?? 0;
    const up = (turn - voter) % 2 === 0;
    return requestBytes(up ? 'PUT' : 'DELETE', `/posts/${postId}/vote`, tokens[voter] ?? '');
  };
  return measured(server, 200, next, tokens.length);
}

/** @returns the next request of a voter, who votes for a post, takes that back, and goes on to the next post */
function strictVotes(tokens: readonly string[], postIds: readonly number[]): (voter: number) => Buffer {
  const turns = tokens.map(() => 0);
  return (voter) => {
    const turn = turns[voter] ?? 0;
    turns[voter] = turn + 1;
    const postId = postIds[(Math.floor(turn / 2) + 2 * voter) % postIds.length];
    return requestBytes('POST', '/vote', tokens[voter] ?? '', { post_id: postId, dir: 1 - (turn % 2) });
  };
}

async function pgbench(databaseUrl: string, posts: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-pgbench-'));
  try {
    const script = join(folder, 'vote.sql');
    await writeFile(
      script,
      `\\set post random(1, ${posts})
begin;
insert into bare_votes values (nextval('bare_voters'), :post);
update bare_tallies set votes = votes + 1 where post_id = :post;
commit;
`,
    );
    const args = [
      '-n',
      '-c',
      String(CLIENTS),
      '-T',
      String(SECONDS),
      '-M',
      'prepared',
      '-f',
      script,
      databaseUrl,
    ];
    const { stdout } = await promisify(execFile)('pgbench', args).catch((error: unknown) => {
      throw (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? new Error(
            'pgbench is not installed (Debian and Ubuntu: apt-get install postgresql-contrib or postgresql)',
          )
        : error;
    });
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
