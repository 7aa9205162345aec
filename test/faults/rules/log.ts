import type { Violation } from '../checker.ts';
import { type History, isPost } from '../history.ts';

/** Rules 2 and 6: the log by itself. */
export function logViolations({ log, base, head }: History): Violation[] {
  return [...holes(log, base, head), ...regressions(log)];
}

function* holes(log: History['log'], base: number, head: number): Iterable<Violation> {
  let expected = base + 1;
  for (const { seq } of log) {
    if (seq !== expected) yield { rule: 2, what: `the log goes from ${expected - 1} to ${seq}` };
    expected = seq + 1;
  }
  if (expected !== head + 1)
    yield { rule: 2, what: `the log ends at ${expected - 1}, its head says ${head}` };
}

/** A post is created, updated any number of times, and deleted; a withdrawn one may be created again. */
function* regressions(log: History['log']): Iterable<Violation> {
  const posts = new Map<number, { visible: boolean; version: number; rev: number }>();
  for (const { seq, name, postId, data } of log) {
    const post = posts.get(postId) ?? { visible: false, version: 0, rev: -1 };
    posts.set(postId, post);
    if (name === 'post:created' ? post.visible : !post.visible) {
      yield {
        rule: 6,
        what: `${seq}: ${name} of post ${postId}, which ${post.visible ? 'is already there' : 'is not there'}`,
      };
    }
    post.visible = name !== 'post:deleted';
    if (!isPost(data)) continue;
    if (data.version <= post.version) {
      yield {
        rule: 6,
        what: `${seq}: ${name} of post ${postId} has version ${data.version} after ${post.version}`,
      };
    }
    if (data.rev < post.rev)
      yield { rule: 6, what: `${seq}: post ${postId} has rev ${data.rev} after ${post.rev}` };
    post.version = Math.max(post.version, data.version);
    post.rev = Math.max(post.rev, data.rev);
  }
}
