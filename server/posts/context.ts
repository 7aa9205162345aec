import type { Database } from '../database/connection.ts';
import type { ReadSource } from '../database/replicas.ts';
import type { SchemaWatch } from '../database/schema-watch.ts';
import type { FairQueue } from '../queues/fair-queue.ts';
import type { FeedReader } from './feed-reader.ts';
import type { PostWriter } from './post-writer.ts';

/** What the requests for posts use. A command takes just what it needs of it. */
export interface PostContext {
  db: Database;
  /** Where pages are read. */
  reads: ReadSource;
  schema: Pick<SchemaWatch, 'confirm'>;
  feedReader: FeedReader;
  postWriter: PostWriter;
  /** The fair queue of changes and deletions of posts. */
  edits: FairQueue;
}
