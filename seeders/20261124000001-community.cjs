'use strict';

const bcrypt = require('bcrypt');

/**
 * A small community to look at. Everyone's password is `correct horse battery`. Votes are written with their tallies and
 * posts with their events, as the service does it: clients that look on see the community come and, undone, go.
 */
const PASSWORD = 'correct horse battery';
const DOMAIN = 'community.example';

const people = ['mira', 'tomasz', 'ngozi', 'kenji', 'lucia', 'arvid', 'yasmin', 'old-pete'];

/** Author, hours ago, title, text, and who votes. */
const posts = [
  [
    'mira',
    70,
    'The library reopens on Saturday',
    'New reading room, later hours, and the coffee machine finally works. Doors at ten; the children’s corner has its own entrance now.',
    'tomasz ngozi kenji lucia arvid yasmin old-pete',
  ],
  [
    'tomasz',
    66,
    'Sourdough, week six',
    'It no longer tries to leave the jar. Hydration at 72 %, twelve hours in the cold, and patience. Pictures when it deserves them.',
    'mira lucia old-pete',
  ],
  [
    'ngozi',
    60,
    'Looking for a second pair of eyes on a talk',
    'Twenty minutes on queueing theory for people who hate queueing theory. I can trade for proof-reading or plantain.',
    'kenji arvid',
  ],
  [
    'kenji',
    55,
    'Night train report: Vienna to Rome',
    'Slept five hours, woke to the sea. Bring ear plugs, a spoon, and lower expectations for breakfast. Would do it again tomorrow.',
    'mira ngozi lucia yasmin',
  ],
  [
    'lucia',
    49,
    'Who feeds the heron?',
    'It now waits at the third bench at a quarter past seven and looks offended if nobody comes. I suspect several of us.',
    'mira tomasz ngozi kenji arvid old-pete',
  ],
  [
    'arvid',
    44,
    'Bike workshop, Thursday 18:00',
    'Bring the squeak, we bring the oil. Truing stand is free again, and we have brake pads in the three usual sizes.',
    'tomasz yasmin',
  ],
  [
    'yasmin',
    38,
    'A spreadsheet is a programming language',
    'Reactive, functional, deployed everywhere, debugged by nobody. Change my mind.',
    'ngozi kenji arvid old-pete',
  ],
  [
    'old-pete',
    31,
    'Remember the flood of ’94?',
    'I found the newspaper. Page three has a photograph of somebody’s piano going down Mill Street. If it was yours: I still have the stool.',
    'mira tomasz lucia kenji yasmin',
  ],
  [
    'mira',
    26,
    'Today I learned: swifts sleep on the wing',
    'Months without landing. Meanwhile I need a particular pillow.',
    'ngozi yasmin lucia',
  ],
  [
    'kenji',
    20,
    'Small tools thread',
    'Name one tool under ten euros that changed how you work. Mine: a head torch. Both hands, no swearing.',
    'mira tomasz arvid',
  ],
  [
    'ngozi',
    14,
    'The talk went well',
    'Nobody slept. One person asked whether lifts are queues. (They are.) Thank you, Kenji and Arvid.',
    'kenji arvid mira yasmin lucia',
  ],
  [
    'lucia',
    8,
    'Heron, continued',
    'Two herons. This is how it starts.',
    'mira tomasz ngozi kenji arvid yasmin old-pete',
  ],
  [
    'arvid',
    4,
    'Lost: one left glove, grey',
    'Last seen on the number 9. Right glove is inconsolable.',
    'old-pete',
  ],
  [
    'tomasz',
    1,
    'Bread exchange on Sunday?',
    'Bring a loaf, take a loaf. Failed loaves welcome, the ducks are not (see heron).',
    'mira lucia',
  ],
];

module.exports = {
  async up(queryInterface) {
    const hash = await bcrypt.hash(PASSWORD, 12);
    await queryInterface.sequelize.transaction(async (transaction) => {
      const run = (sql, bind) => queryInterface.sequelize.query(sql, { transaction, bind });
      const [there] = await run(`select 1 from users where email like '%@${DOMAIN}' limit 1`);
      if (there.length > 0) return; // a second run adds nothing
      await run(
        `insert into users (email, username, password_hash, created_at)
         select name || '@${DOMAIN}', name, $2, now() - interval '90 days' from unnest($1::text[]) name`,
        [people, hash],
      );
      for (const [author, hoursAgo, title, content, voters] of posts) {
        await run(
          `with post as (
             insert into posts (owner_id, title, content, created_at, updated_at, listed_at)
             select u.id, $2, $3, t.at, t.at, t.at
             from users u, (select now() - $4 * interval '1 hour' as at) t where u.username = $1
             returning *
           ), voted as (
             select u.id from users u where u.username = any($5::text[])
           ), tally as (
             insert into post_tallies (post_id, votes, rev, hot)
             select post.id, (select count(*) from voted), 1, hot_rank((select count(*) from voted)::integer, post.listed_at)
             from post
           )
           insert into votes (user_id, post_id) select voted.id, post.id from voted, post`,
          [author, title, content, hoursAgo, voters.split(' ')],
        );
      }
      await tell(run, 'post:created');
    });
  },

  async down(queryInterface) {
    await queryInterface.sequelize.transaction(async (transaction) => {
      const run = (sql, bind) => queryInterface.sequelize.query(sql, { transaction, bind });
      await run(
        `with gone as (
           delete from votes v using users u where u.id = v.user_id and u.email like '%@${DOMAIN}' returning v.post_id
         ), counted as (
           select post_id, count(*)::integer as n from gone group by post_id
         )
         update post_tallies t
         set votes = t.votes - c.n, rev = t.rev + 1, hot = hot_rank(t.votes - c.n, p.listed_at), xid = pg_current_xact_id()
         from counted c join posts p on p.id = c.post_id where t.post_id = c.post_id`,
      );
      await tell(run, 'post:deleted');
      await run(`delete from users where email like '%@${DOMAIN}'`);
      // Else they would be nobody's for ninety days, and there would be no second community.
      await run(
        "delete from kept_usernames where name_hash in (select sha256(convert_to(name, 'UTF8')) from unnest($1::text[]) name)",
        [people],
      );
    });
  },
};

/** Writes the events of the community's posts: no change without its event. */
function tell(run, name) {
  const payload =
    name === 'post:deleted'
      ? `json_build_object('id', p.id)`
      : `json_build_object('id', p.id, 'title', p.title, 'content', p.content, 'published', p.published,
           'created_at', to_char(p.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           'updated_at', to_char(p.updated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           'version', p.version, 'owner_id', p.owner_id,
           'owner', json_build_object('id', u.id, 'username', u.username), 'votes', t.votes, 'rev', t.rev)`;
  return run(
    `select append_events(json_agg(json_build_object(
       'name', $1::text, 'entity_type', 'post', 'entity_id', p.id, 'audience', 'public',
       'topics', json_build_array('feed', 'author:' || p.owner_id), 'supersedes', $2::text,
       'redaction', $3::json, 'data', ${payload}) order by p.listed_at, p.id))
     from posts p join users u on u.id = p.owner_id join post_tallies t on t.post_id = p.id
     where u.email like '%@${DOMAIN}' and p.published`,
    name === 'post:deleted' ? [name, 'all', '[]'] : [name, 'nothing', '["title","content","owner.username"]'],
  );
}
