import { FeedClient, type LoaderContext } from '../feed-client.ts';
import { SharedStream } from '../shared-stream.ts';
import type { Stage } from './stage.ts';

/** A client in this process, connected. It ends with the part. @throws why it was refused */
export async function connectAlone(
  stage: Stage,
  url: string,
  token: string,
  around: Partial<LoaderContext> = {},
): Promise<FeedClient> {
  const client = new FeedClient(
    {
      url: new URL(url),
      localAddress: undefined,
      stream: new SharedStream(),
      posts: 0,
      onEvent: () => undefined,
      onTallies: () => undefined,
      onBytes: () => undefined,
      ...around,
    },
    token,
    () => undefined,
  );
  stage.after(() => client.close());
  const refused = await client.connect();
  if (refused !== undefined) throw new Error(refused);
  return client;
}
