import Joi from 'joi';
import { count, id, object, oneOf } from '../api/schema.ts';

export const castVote = object({
  post_id: id().strict().description("The post's id").example(1),
  dir: oneOf(1, 0).description('1: vote for it; 0: take the vote back'),
})
  .example({ post_id: 1, dir: 1 })
  .id('CastVote');

export const voteView = object({
  post_id: id(),
  votes: count().description('The number of votes on the post now'),
  rev: count(),
  voted: Joi.boolean().description('Whether you have voted for it now'),
}).id('Vote');

export const tally = object({
  post_id: id(),
  votes: count(),
  replies: count().description('The number of replies below it that have not been deleted'),
  rev: count().description('Of two tallies of one post, the one with the higher rev is the newer'),
}).id('Tally');
