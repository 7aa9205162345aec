import { expect } from 'chai';
import type { TestElement } from 'jsdom';
import {
  createElement,
  type Dispatch,
  type FunctionComponent,
  type SetStateAction,
  StrictMode,
  useState,
} from 'react';
import { renderToString as renderReact } from 'react-dom/server';
import { derived, get } from 'svelte/store';
import type * as Vue from 'vue';
import {
  type Client,
  createClient,
  createThreadStore,
  type FeedStore,
  type FeedStoreOptions,
} from '../client/src/index.ts';
import * as react from '../client/src/react.ts';
import { readableFeed, readableNotifications, readableSession, readableStore } from '../client/src/svelte.ts';
import type * as ClientVue from '../client/src/vue.ts';
import { openDocument, type TestDocument } from './support/test-document.ts';
import { until } from './support/waiting.ts';
import { createWorld, PASSWORD, type TestUser, type World } from './support/world.ts';

describe('the client in a framework', () => {
  let world: World;
  let ada: TestUser;
  let page: TestDocument;
  let client: Client;
  let logsIn: { email: string; password: string };

  before(async () => {
    world = await createWorld();
    ada = await world.user('ada');
    page = openDocument();
  });
  after(async () => {
    page.close();
    await world.close();
  });
  beforeEach(async () => {
    page.complaints.length = 0;
    client = createClient({ url: world.url });
    logsIn = { email: `${Math.random().toString(36).slice(2)}@example.org`, password: PASSWORD };
    await client.signUp(logsIn);
  });
  afterEach(() => until('nobody to be connected', () => connections() === 0));

  const connections = () => (world.server.service.gateway.io.engine as { clientsCount: number }).clientsCount;
  const publish = async (title: string) => {
    expect((await ada.post('/posts', { title, content: '' })).status).to.equal(201);
  };
  const titles = (element: TestElement) =>
    [...element.querySelectorAll('h2')].map((title) => title.textContent);
  const text = (element: TestElement, selector: string) => element.querySelector(selector)?.textContent;
  /** A method of a store without the store. */
  const passedOn = ({ loadMore }: { loadMore: () => void }) => loadMore;
  /** A client with which a server renders, and which must not ask anything there. */
  const onServer = () =>
    createClient({
      url: world.url,
      fetch: () => {
        throw new Error('a server asked for something while it rendered');
      },
    });

  describe('React', () => {
    let store: FeedStore;
    let stores: Set<FeedStore>;
    let choose: Dispatch<SetStateAction<FeedStoreOptions>>;
    let shown: boolean[];

    const List: FunctionComponent<{ of: Client }> = ({ of }) => {
      const [options, setOptions] = useState<FeedStoreOptions>({ limit: 5, ownerId: ada.id });
      // As it is written in a component: other objects and another function each time.
      const { store: own, state } = react.useFeed(of, {
        ...options,
        feed: { tallies: 'tracked' },
        held: () => false,
      });
      const { state: news } = react.useNotifications(of, { feed: { tallies: 'none' } });
      store = own;
      stores.add(own);
      choose = setOptions;
      return createElement(
        'main',
        null,
        createElement('p', null, `${news.unread} unread`),
        ...state.posts.map(({ id, title }) => createElement('h2', { key: id }, title)),
        createElement('button', { onClick: passedOn(own) }, state.hasMore ? 'More' : 'All'),
      );
    };
    const App: FunctionComponent<{ of: Client }> = ({ of }) => {
      const { loggedIn } = react.useSession(of);
      shown.push(loggedIn);
      return loggedIn ? createElement(List, { of }) : createElement('form', null, 'Log in');
    };
    const app = (of: Client) => createElement(StrictMode, null, createElement(App, { of }));
    beforeEach(() => {
      stores = new Set();
      shown = [];
    });

    it('takes over what a server has rendered, and is live in strict mode over one connection for each store', async () => {
      const { hydrateRoot } = await import('react-dom/client');
      const html = renderReact(app(onServer()));
      expect(html).to.equal('<form>Log in</form>');
      for (let at = 1; at <= 6; at += 1) await publish(`React ${at}`);
      const element = page.element(html);
      const recovered: unknown[] = [];
      const root = hydrateRoot(element, app(client), {
        onRecoverableError: (error) => recovered.push(error),
      });

      await until('the list to be there', () => titles(element).length === 5);
      await until('both stores to be live', () => connections() === 2);
      await publish('React 7');
      await until('a new post to be there', () => titles(element)[0] === 'React 7');
      element.querySelector('button')?.click();
      await until('the next page to be there', () => titles(element).length === 7);
      expect(titles(element)).to.deep.equal([7, 6, 5, 4, 3, 2, 1].map((at) => `React ${at}`));
      expect(connections()).to.equal(2);

      await client.logOut();
      await until('nobody to be logged in', () => text(element, 'form') === 'Log in');
      await until('the store to be closed', () => store.state.status.state === 'ended');
      root.unmount();
      expect([shown[0], recovered, page.complaints]).to.deep.equal([false, [], []]);
    });

    it('loads another list into the same store, and keeps the one there until then', async () => {
      const { createRoot } = await import('react-dom/client');
      const element = page.element('');
      const root = createRoot(element);
      root.render(createElement(List, { of: client }));
      await until('the list to be there', () => titles(element).length > 0);
      const first = titles(element);
      await publish('Tagged #react');
      await until('the new post to be there', () => titles(element).length > first.length);
      choose({ limit: 5, tag: 'react' });
      await until('the other list to be there', () => titles(element).length === 1);
      expect(titles(element)).to.deep.equal(['Tagged #react']);
      expect(stores.size).to.equal(1);
      choose({ limit: 6, tag: 'react' });
      await until(
        'another page size to make another store',
        () => stores.size === 2 && titles(element).length === 1,
      );
      root.unmount();
      expect(page.complaints).to.deep.equal([]);
    });

    it('tells of notifications, and renders any other store', async () => {
      const { createRoot } = await import('react-dom/client');
      const post = await client.posts.create({ title: 'A thread', content: '' });
      const Thread: FunctionComponent<{ postId: number }> = ({ postId }) => {
        const { state, store: thread } = react.useStore(
          () => createThreadStore(client, { postId }),
          [postId],
        );
        const { state: news } = react.useNotifications(client);
        return createElement(
          'main',
          null,
          createElement('h1', null, state.post?.title),
          createElement('p', null, `${news.unread} unread, ${state.pending} new`),
          ...state.replies.map(({ reply }) => createElement('h2', { key: reply.id }, reply.content)),
          createElement('button', { onClick: () => void thread.reveal() }),
        );
      };
      const element = page.element('');
      const root = createRoot(element);
      root.render(createElement(StrictMode, null, createElement(Thread, { postId: post.id })));
      await until('the thread to be there', () => text(element, 'h1') === 'A thread');
      await until('both stores to be live', () => connections() === 2);
      await ada.post(`/posts/${post.id}/replies`, { content: 'A reply' });
      await until('the reply to wait', () => text(element, 'p') === '1 unread, 1 new');
      element.querySelector('button')?.click();
      await until('the reply to be there', () => titles(element)[0] === 'A reply');
      root.unmount();
      expect(page.complaints).to.deep.equal([]);
    });
  });

  describe('Vue', () => {
    let vue: typeof ClientVue;
    let library: typeof Vue;
    before(async () => {
      library = await import('vue');
      vue = await import('../client/src/vue.ts');
    });

    it('takes over what a server has rendered, follows its options, and ends with its component', async () => {
      const { createSSRApp, defineComponent, h, ref } = library;
      const { renderToString } = await import('vue/server-renderer');
      const tag = ref<string>();
      const stores: FeedStore[] = [];
      const List = defineComponent({
        props: { of: { type: Object, required: true } },
        setup(props) {
          const { store, state } = vue.useFeed(props.of as Client, () => ({
            limit: 5,
            ...(tag.value === undefined ? { ownerId: ada.id } : { tag: tag.value }),
          }));
          const { state: news } = vue.useNotifications(props.of as Client);
          stores.push(store);
          return () => [
            h('p', `${news.value.unread} unread`),
            ...state.value.posts.map(({ id, title }) => h('h2', { key: id }, title ?? '')),
            h('button', { onClick: passedOn(store) }, 'More'),
          ];
        },
      });
      const App = defineComponent({
        props: { of: { type: Object, required: true } },
        setup(props) {
          const session = vue.useSession(props.of as Client);
          return () => (session.value.loggedIn ? h(List, { of: props.of }) : h('form', 'Log in'));
        },
      });
      const html = await renderToString(createSSRApp(App, { of: onServer() }));
      expect(html).to.equal('<form>Log in</form>');
      expect(await renderToString(createSSRApp(List, { of: onServer() }))).to.contain('<p>0 unread</p>');

      for (let at = 1; at <= 6; at += 1) await publish(`Vue ${at}`);
      const element = page.element(html);
      const app = createSSRApp(App, { of: client });
      app.mount(element);
      await until('the list to be there', () => titles(element).length === 5);
      await until('both stores to be live', () => connections() === 2);
      await publish('Vue 7 #vue');
      await until('a new post to be there', () => titles(element)[0] === 'Vue 7 #vue');
      element.querySelector('button')?.click();
      await until('the next page to be there', () => titles(element).length > 6);
      expect(
        titles(element)
          .slice(0, 7)
          .map((title) => Number(/\d/.exec(title)?.[0])),
      ).to.deep.equal([7, 6, 5, 4, 3, 2, 1]);
      tag.value = 'vue';
      await until('the other list to be there', () => titles(element).length === 1);
      expect(titles(element)).to.deep.equal(['Vue 7 #vue']);
      app.unmount();
      expect(stores.at(-1)?.state.status).to.deep.equal({ state: 'ended', reason: 'closed' });
      expect(page.complaints).to.deep.equal([]);
    });

    it('takes a client and a shared feed out of reactive state', async () => {
      await client.posts.create({ title: 'A post', content: '' });
      const element = page.element('');
      const { createApp, h, reactive, ref } = library;
      const feed = client.feed({ topics: [] });
      const app = createApp({
        setup() {
          const held = reactive({ client });
          // The types of Vue have no private members either.
          const options = ref({ limit: 5, feed }) as unknown as Vue.Ref<FeedStoreOptions>;
          const { state } = vue.useFeed(held.client as Client, options);
          const { state: news } = vue.useNotifications(held.client as Client, options.value);
          const session = vue.useSession(held.client as Client);
          return () => [
            h('p', `${session.value.loggedIn} ${news.value.status.state}`),
            ...state.value.posts.map(({ id, title }) => h('h2', { key: id }, title ?? '')),
          ];
        },
      });
      app.mount(element);
      await until('the list to be there', () => titles(element)[0] === 'A post');
      await until('it is live', () => text(element, 'p') === 'true live');
      app.unmount();
      feed.close();
      expect(page.complaints).to.deep.equal([]);
    });

    it('renders any other store', async () => {
      const post = await client.posts.create({ title: 'A thread', content: '' });
      const element = page.element('');
      const { createApp, h } = library;
      const app = createApp({
        setup() {
          const { state } = vue.useStore(() => createThreadStore(client, { postId: post.id }));
          return () => h('h1', state.value.post?.title ?? '');
        },
      });
      app.mount(element);
      await until('the thread to be there', () => text(element, 'h1') === 'A thread');
      app.unmount();
    });
  });

  describe('Svelte', () => {
    it('is loaded with the first subscriber of its stores and closed with the last one', async () => {
      await publish('Svelte');
      const feed = readableFeed(client, { limit: 5, ownerId: ada.id });
      const newest = derived(feed, ({ posts }) => posts[0]?.title);
      const seen: (string | null | undefined)[] = [];
      const stop = newest.subscribe((title) => seen.push(title));
      const stopOther = feed.subscribe(() => undefined);
      await until('the list to be there', () => seen.at(-1) === 'Svelte');
      await until('both to be live', () => feed.store.state.status.state === 'live');
      expect(connections(), 'over one connection').to.equal(1);
      await publish('Svelte too');
      await until('a new post to be there', () => seen.at(-1) === 'Svelte too');
      stop();
      stop();
      expect(feed.store.state.status.state).to.equal('live');
      stopOther();
      expect(feed.store.state.status).to.deep.equal({ state: 'ended', reason: 'closed' });

      const again = feed.subscribe(() => undefined);
      await until('it to be live again', () => feed.store.state.status.state === 'live');
      again();
    });

    it('loads nothing where a server renders', async () => {
      const feed = readableFeed(onServer());
      expect(get(feed)).to.deep.include({ posts: [], seq: 0 });
      await Promise.resolve();
      expect(feed.store.state.loading).to.equal(false);
    });

    it('tells of the session, of notifications and of any other store', async () => {
      const session = readableSession(client);
      const { id } = await client.me();
      expect(get(session)).to.deep.equal({ loggedIn: true, userId: id, reason: 'logged-in' });
      const post = await client.posts.create({ title: 'A thread', content: '' });
      const thread = readableStore(createThreadStore(client, { postId: post.id }));
      const news = readableNotifications(client);
      const both = derived([thread, news], ([{ pending }, { unread }]) => `${unread} unread, ${pending} new`);
      let said = '';
      const stop = both.subscribe((text) => (said = text));
      await until('both stores to be live', () => connections() === 2);
      await ada.post(`/posts/${post.id}/replies`, { content: 'A reply' });
      await until('the reply to wait', () => said === '1 unread, 1 new');
      stop();
      await client.logOut();
      expect(get(session)).to.deep.equal({ loggedIn: false, userId: undefined, reason: 'logged-out' });
    });
  });
});
