import { expect } from 'chai';
import { get, type IncomingMessage } from 'node:http';
import { execute } from './tables.ts';
import { until } from './waiting.ts';
import type { Api, TestUser, World } from './world.ts';

export const EXPORT = '/users/me/export';

export interface Line {
  kind: string;
  data: Record<string, unknown>;
}

export const readLines = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
export const ofKind = (lines: Line[], kind: string) =>
  lines.filter((line) => line.kind === kind).map(({ data }) => data);
export const countsOf = (lines: Line[]) => lines.at(-1)?.data.counts as Record<string, number> | undefined;

/** A whole export, whose counts are right. */
export async function exported(user: TestUser): Promise<Line[]> {
  const answer = await user.get<string>(EXPORT);
  expect(answer.status).to.equal(200);
  const lines = readLines(answer.body);
  expect(lines.at(-1)?.kind).to.equal('end');
  const counted: Record<string, number> = {};
  for (const { kind } of lines.slice(1, -1)) counted[kind] = (counted[kind] ?? 0) + 1;
  for (const [kind, count] of Object.entries(countsOf(lines)!))
    expect(counted[kind] ?? 0, kind).to.equal(count);
  return lines;
}

/** A download that is not read before it is asked for. */
export class SlowDownload {
  text = '';
  /** Whether the answer came whole, or its connection ended; undefined before that. */
  whole: boolean | undefined;
  readonly #answer: IncomingMessage;

  private constructor(answer: IncomingMessage) {
    this.#answer = answer;
    answer.setEncoding('utf8').pause();
    answer.on('data', (text: string) => (this.text += text));
    answer.on('error', () => undefined);
    answer.on('close', () => (this.whole = answer.complete));
    answer.pause();
  }

  static begin(user: Api): Promise<SlowDownload> {
    return new Promise((resolve, reject) => {
      get(
        user.url + EXPORT,
        { agent: false, headers: { authorization: `Bearer ${user.token ?? ''}` } },
        (answer) => resolve(new SlowDownload(answer)),
      ).on('error', reject);
    });
  }

  async finish(): Promise<Line[]> {
    this.#answer.resume();
    await until('the download to end', () => this.whole !== undefined);
    return this.whole ? readLines(this.text) : readLines(this.text.slice(0, this.text.lastIndexOf('\n') + 1));
  }

  /** Reads at most 128 KiB. */
  readSome(): void {
    this.#answer.read(Math.min(128 * 1024, this.#answer.readableLength));
  }

  leave(): void {
    this.#answer.destroy();
  }
}

/** So many posts of six bytes of JSON for each character that they do not fit the buffers of a connection. */
export async function withLargePosts(world: World, posts = 300): Promise<TestUser> {
  const user = await world.user();
  await execute(
    world,
    `with written as (
       insert into posts (owner_id, title, content, created_at, listed_at)
       select $1, 'large ' || n, repeat(chr(1), 10000), moment, moment
       from generate_series(1, $2) n cross join lateral (
         select now() - interval '1 day' + n * interval '1 microsecond' as moment) at
       returning id
     ) insert into post_tallies (post_id, hot) select id, 0 from written`,
    [user.id, posts],
  );
  return user;
}
