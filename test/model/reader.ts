import type { NotificationState, NotificationView, PostView } from '../../server/contract.ts';
import { type Answer, Api, type TestUser } from '../support/world.ts';
import type { NotificationListPage } from './notification-lists.ts';
import { type Page, PAGE, pathOf, type View } from './pages.ts';
import type { RelationListPage } from './relation-lists.ts';

/** Reads lists from whichever node, and keeps what it read. */
export class Reader {
  readonly pages: Page[] = [];
  readonly lists: RelationListPage[] = [];
  readonly notifications: NotificationListPage[] = [];
  /** Answers that are bugs. */
  readonly faults: string[] = [];
  readonly #url: () => string;

  constructor(url: () => string) {
    this.#url = url;
  }

  async page(user: TestUser, view: View, isQuiet: boolean): Promise<void> {
    const answer = await this.#get<PostView[]>(user, pathOf(view));
    if (!answer) return;
    const seq = Number(answer.headers.get('x-feed-seq'));
    const posts = answer.body;
    const isCut = posts.length === PAGE;
    this.pages.push({ view, userId: user.id, at: Date.now(), seq, posts, isCut, isQuiet });
  }

  async list(user: TestUser, list: RelationListPage['list'], isQuiet: boolean): Promise<void> {
    const answer = await this.#get<{ user: { id: number } }[]>(
      user,
      `/users/${user.id}/${list}?limit=${PAGE}`,
    );
    if (!answer) return;
    const users = answer.body.map((entry) => entry.user.id);
    this.lists.push({ list, userId: user.id, seq: Number(answer.headers.get('x-feed-seq')), users, isQuiet });
  }

  async notificationList(user: TestUser, isQuiet: boolean): Promise<void> {
    const answer = await this.#get<NotificationState & { notifications: NotificationView[] }>(
      user,
      `/notifications?limit=${PAGE}`,
    );
    if (!answer) return;
    const seq = Number(answer.headers.get('x-feed-seq'));
    const isCut = answer.body.notifications.length === PAGE;
    this.notifications.push({ ...answer.body, userId: user.id, seq, isCut, isQuiet });
  }

  /** @returns undefined where there is nothing to read, or no node to answer */
  async #get<T>(user: TestUser, path: string): Promise<Answer<T> | undefined> {
    try {
      const answer = await new Api(this.#url(), user.token).get<T>(path);
      if (answer.status === 500) this.faults.push(`GET ${path} was answered with 500`);
      return answer.status === 200 ? answer : undefined;
    } catch {
      return undefined;
    }
  }
}
