import type { TestUser } from './world.ts';

/** Users who write, edit, withdraw, publish and delete at random until they are stopped. */
export interface Writers {
  /** Writes acknowledged so far. */
  readonly done: number;
  /** Resolves when the writes in flight have been answered. @throws if any was refused */
  stop(): Promise<void>;
}

/** Starts as many writers as there are users; each does one thing after the other, on posts of its own. */
export function startWriters(users: readonly TestUser[], pause = 0): Writers {
  let stopped = false;
  let done = 0;
  const write = async (user: TestUser) => {
    const posts: number[] = [];
    while (!stopped) {
      const id = posts[Math.floor(Math.random() * posts.length)];
      const chance = Math.random();
      if (id === undefined || chance < 0.5) {
        const made = await user.post<{ id: number }>('/posts', { title: `title ${done}`, content: 'text' });
        if (made.status !== 201) throw new Error(`a write was answered with ${made.status}`);
        posts.push(made.body.id);
      } else {
        const { status } =
          chance < 0.8
            ? await user.patch(`/posts/${id}`, { content: `edit ${done}`, published: chance < 0.7 })
            : await user.delete(`/posts/${id}`);
        if (status >= 300) throw new Error(`a write was answered with ${status}`);
        if (chance >= 0.8) posts.splice(posts.indexOf(id), 1);
      }
      done += 1;
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause * Math.random() * 2));
    }
  };
  const all = Promise.all(users.map(write));
  // Told by `stop`; not a rejection that nobody handles meanwhile.
  all.catch(() => undefined);
  return {
    get done() {
      return done;
    },
    stop: async () => {
      stopped = true;
      await all;
    },
  };
}
