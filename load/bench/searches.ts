import { makeAccounts } from '../accounts.ts';
import type pg from 'pg';
import { call } from '../rest.ts';
import type { Line } from './rounds.ts';
import { databaseCostOf } from './server-cost.ts';
import { fillSearchedPosts, searchedWords } from './searched-posts.ts';
import { type Stage, withClient } from './stage.ts';

const POSTS = 160_000;
/** A search may take so many times as long as that of a rare Latin word. */
const REACH = 5;

/** Searches for words of many kinds in every order, against those for a rare Latin word: what the database works for each. */
export async function searches(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  await fillSearchedPosts(databaseUrl, Math.ceil(POSTS / stage.scale), (filled) => {
    if (filled % 20_000 === 0) stage.say(`${filled} posts`);
  });
  const server = await stage.server(databaseUrl);
  return withClient(databaseUrl, (client) => searchInTurns(stage, server.url, client));
}

async function searchInTurns(stage: Stage, url: string, client: pg.Client): Promise<Line[]> {
  const [account] = await makeAccounts(url, 1);
  const token = account?.token ?? '';
  const lines = new Map<string, Line>();
  for (let round = 0; round < stage.rounds + 1; round += 1) {
    for (const sort of ['new', 'hot', 'top']) {
      let rare = 0;
      for (const [at, { kind, search }] of searchedWords.entries()) {
        // Another page each round: one that was read a moment ago would be given out again.
        const path = `/posts?limit=${10 + round}&sort=${sort}&search=${encodeURIComponent(search)}`;
        const worked = await databaseCostOf(client, () => call(url, 'GET', path, { token }));
        if (at === 0) rare = worked;
        if (round === 0) continue; // to warm up
        const line = lines.get(`${kind}, ${sort}`) ?? {
          what: `search for a word: ${kind}, sort=${sort}`,
          unit: 'ms CPU',
          limit: '',
          ours: [],
          theirs: [],
          reach: { atMost: REACH },
          notes: [],
        };
        line.ours.push(worked);
        line.theirs.push(rare);
        lines.set(`${kind}, ${sort}`, line);
      }
    }
  }
  return [...lines.values()];
}
