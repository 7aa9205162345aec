import { makeAccounts } from '../accounts.ts';
import { call } from '../rest.ts';
import type { Line } from './rounds.ts';
import { fillSearchedPosts, searchedWords } from './searched-posts.ts';
import type { Stage } from './stage.ts';

const POSTS = 160_000;
/** A search may take so many times as long as that of a rare Latin word. */
const REACH = 5;

/** Searches for words of many kinds in every order, against those for a rare Latin word. */
export async function searches(stage: Stage): Promise<Line[]> {
  const databaseUrl = await stage.database();
  await fillSearchedPosts(databaseUrl, Math.ceil(POSTS / stage.scale), (filled) => {
    if (filled % 20_000 === 0) stage.say(`${filled} posts`);
  });
  const server = await stage.server(databaseUrl);
  try {
    const [account] = await makeAccounts(server.url, 1, () => undefined);
    const token = account?.token ?? '';
    const lines = new Map<string, Line>();
    for (let round = 0; round < stage.rounds + 1; round += 1) {
      for (const sort of ['new', 'hot', 'top']) {
        let rare = 0;
        for (const [at, { kind, search }] of searchedWords.entries()) {
          // Another page each round: one that was read a moment ago would be given out again.
          const path = `/posts?limit=${10 + round}&sort=${sort}&search=${encodeURIComponent(search)}`;
          const began = performance.now();
          await call(server.url, 'GET', path, { token });
          const took = performance.now() - began;
          if (at === 0) rare = took;
          if (round === 0) continue; // to warm up
          const line = lines.get(`${kind}, ${sort}`) ?? {
            what: `search for a word: ${kind}, sort=${sort}`,
            unit: 'ms',
            limit: '',
            ours: [],
            theirs: [],
            reach: { atMost: REACH },
            notes: [],
          };
          line.ours.push(took);
          line.theirs.push(rare);
          lines.set(`${kind}, ${sort}`, line);
        }
      }
    }
    return [...lines.values()];
  } finally {
    await server.stop();
  }
}
