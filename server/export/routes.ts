import { LineStream } from '../api/line-stream.ts';
import { problems } from '../api/problem.ts';
import { Reply, routesOf } from '../api/route.ts';
import { exportAccount } from './account-export.ts';
import type { ExportContext } from './context.ts';

const route = routesOf<ExportContext>('Users');

export const exportRoutes = [
  route({
    method: 'get',
    path: '/users/me/export',
    summary: 'Download all that you have written and set',
    description:
      'JSON lines, each `{kind, data}`: first `export` (`version`, `started_at`, `user_id`, `username`), then `account`, each `post` (drafts too), `reply`, `removed_post` (the text of what a moderator has removed, for 30 days), `vote`, `follow`, `block`, `mute`, `follower`, `notification`, `session`, `second_factor`, `identity`, `api_key`, `webhook` (keys and secrets are in none), `audit` (what moderators and the operator did to you, and changes of who can log in to your account) and `report` (yours). The last line is `end` with the number of lines of each kind in `counts`: without it the download is not whole. Things that are there from the beginning to the end are in it, each as it was when it was read; a draft that is published meanwhile, or a post that a moderator restores meanwhile or shortly before, may come twice, the second time with a higher `version`. One at a time for each account, on whichever node, and ten a day (429). It is cut off by the end of the session, by a client that does not read for 30 seconds, and after half an hour.',
    produces: 'application/x-ndjson',
    answers: { 200: 'Lines of JSON.', ...problems(401, 429, 503) },
    answerHeaders: {
      'Content-Disposition': 'A name for the file',
      'Accept-Ranges': '`none`: it is written anew each time, so a download that was cut off begins again',
    },
    handle: async ({ ctx, user, requester, req, res }) => {
      if (req.method === 'HEAD')
        return new Reply(undefined, { headers: { 'Content-Type': 'application/x-ndjson; charset=utf-8' } });
      await exportAccount(ctx, user, {
        lines: new LineStream(res, ctx.exports.limits.unread),
        requester,
        count: () => ctx.countRequest('export', req, res, user),
      });
      return undefined;
    },
  }),
];
