/**
 * Follows the feed of a Tidings service from another server, over server-sent events. After a lost connection, a restart
 * of the service or of this program it continues where it was: the position is in a file.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const { TIDINGS_URL = 'http://127.0.0.1:3000', TIDINGS_KEY, POSITION_FILE = 'position.txt' } = process.env;
/** The service says something every 15 seconds. Milliseconds. */
const SILENCE = 40_000;
/** The longest wait before the next attempt. Milliseconds. */
const LONGEST_WAIT = 10_000;

if (!TIDINGS_KEY) {
  console.error('Set TIDINGS_KEY to an API key with the scope "read".');
  process.exit(1);
}

/** The id of the last event, `epoch:seq`; undefined at the very beginning: from now on. */
let position = await readFile(POSITION_FILE, 'utf8').catch(() => undefined);

/**
 * What this server does with an event. It is done once, unless the program is killed before the position has been kept:
 * then it is done again after the restart. What must not be done twice keeps the `seq` beside what it does.
 */
async function handle(seq, name, data) {
  console.log(JSON.stringify({ seq, name, id: data.id, title: data.title }));
}

/** Another file first: one that is half written would be no position. */
async function keep(id) {
  position = id;
  await writeFile(`${POSITION_FILE}.new`, id);
  await rename(`${POSITION_FILE}.new`, POSITION_FILE);
}

/** The events of a stream (HTML standard, 9.2.6), without those that have no data. */
async function* eventsOf(body) {
  let rest = '';
  let event = { name: 'message', id: undefined, data: [] };
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (line === '') {
        if (event.data.length > 0) yield { ...event, data: JSON.parse(event.data.join('\n')) };
        event = { name: 'message', id: undefined, data: [] };
      } else if (field === 'event') event.name = value;
      else if (field === 'id') event.id = value;
      else if (field === 'data') event.data.push(value);
    }
  }
}

/** One connection, until it ends. @returns how long the service asks to wait. Milliseconds */
async function follow(onOpen) {
  const silence = new AbortController();
  const hurry = () => silence.abort(new Error('The service is silent.'));
  let timer = setTimeout(hurry, SILENCE);
  try {
    const response = await fetch(`${TIDINGS_URL}/events/stream`, {
      headers: { Authorization: `Bearer ${TIDINGS_KEY}`, ...(position && { 'Last-Event-ID': position }) },
      signal: silence.signal,
    });
    if ([401, 403].includes(response.status)) {
      console.error(`The key is refused: ${await response.text()}`);
      process.exit(1);
    }
    if (!response.ok) {
      await response.body?.cancel();
      // A proxy may say a date.
      return (Number(response.headers.get('retry-after')) || 1) * 1000;
    }
    onOpen();
    const heard = new TransformStream({
      transform: (chunk, controller) => {
        clearTimeout(timer);
        timer = setTimeout(hurry, SILENCE);
        controller.enqueue(chunk);
      },
    });
    for await (const { name, id, data } of eventsOf(response.body.pipeThrough(heard))) {
      if (name === 'reset')
        console.error('The log does not reach back to the position: read GET /posts again.');
      else if (id !== undefined && name !== 'feed:head') await handle(Number(id.split(':')[1]), name, data);
      // Also of `feed:head`, which says that up to there is nothing for us.
      if (id !== undefined) await keep(id);
    }
  } finally {
    clearTimeout(timer);
  }
  return 0;
}

for (let failures = 0; ; failures += 1) {
  let asked = 0;
  try {
    asked = await follow(() => {
      console.error('connected');
      failures = 0;
    });
  } catch (error) {
    console.error(`not connected: ${error.cause?.message ?? error.message}`);
  }
  // At random, so that not all consumers come back to a restarted service at once.
  await delay(asked + Math.random() * Math.min(LONGEST_WAIT, 500 * 2 ** failures));
}
