import { expect } from 'chai';
import { join } from 'node:path';
import { routes } from '../server/app.ts';
import { checks, folds } from '../server/capability-checks.ts';
import { eventTypes } from '../server/event-registry.ts';
import type { FeedEventName } from '../server/contract.ts';
import { asyncApiDocument } from '../server/docs/asyncapi.ts';
import { openApiDocument } from '../server/docs/openapi.ts';
import type { moderationEvents } from '../server/moderation/events.ts';
import type { notificationEvents } from '../server/notifications/events.ts';
import type { postEvents } from '../server/posts/events.ts';
import type { relationEvents } from '../server/relations/events.ts';
import { streamRoutes } from '../server/events/routes.ts';
import { tally } from '../server/votes/schemas.ts';
import { readSources, type Sources } from './support/import-graph.ts';
import { noteEvents } from './support/note-events.ts';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

// The contract's types have what the capabilities declare, and nothing else: this does not compile if they do not.
true satisfies Same<
  (
    typeof postEvents | typeof relationEvents | typeof notificationEvents | typeof moderationEvents
  )[number]['name'],
  FeedEventName
>;

/** Where a capability writes the names of its events. */
const DECLARED = /^server\/[a-z]+\/event-names\.ts$/;

/** The files that name an event and do not declare it: `server/log/ring-buffer.ts: post:created`. */
function namedIn(sources: Sources): string[] {
  return [...sources]
    .filter(([file]) => !DECLARED.test(file))
    .flatMap(([file, text]) =>
      eventTypes.filter(({ name }) => text.includes(name)).map(({ name }) => `${file}: ${name}`),
    );
}

describe('the registry of events', () => {
  let sources: Map<string, string>;

  before(async () => {
    sources = await readSources(join(import.meta.dirname, '..'), ['server', 'models', 'client/src']);
  });

  it('is the one place that knows an event by name: neither the documents, the log, delivery, doctor nor the client do', () => {
    expect(sources.size).to.be.greaterThan(250);
    expect(namedIn(sources)).to.deep.equal([]);
    const [first] = eventTypes;
    for (const file of ['server/log/ring-buffer.ts', 'server/doctor/examine.ts', 'client/src/feed/feed.ts'])
      expect(namedIn(new Map([...sources, [file, `if (name === '${first!.name}') return;`]]))).to.deep.equal([
        `${file}: ${first!.name}`,
      ]);
  });

  it('has each name once, a fold for each kind of thing, and an event that ends it', () => {
    const names = eventTypes.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
    const kinds = [...new Set(eventTypes.map(({ entityType }) => entityType))];
    const ofEntities = folds.map(({ entityType }) => entityType);
    const ofRelations = checks.flatMap((check) => check.folds ?? []);
    expect([...ofEntities, ...ofRelations]).to.have.members(kinds);
    for (const kind of ofEntities) {
      const ends = eventTypes.filter(
        ({ entityType, supersedes }) => entityType === kind && supersedes === 'all',
      );
      expect(ends, kind).not.to.be.empty;
    }
  });

  it('is what both documents tell of, so an event of another capability is told by them at once', () => {
    const more = [...eventTypes, ...noteEvents];
    const { operations, components } = asyncApiDocument(more, { tally }, '0.0.0');
    const told = Object.values(operations).map(({ title, summary }) => `${title}: ${summary}`);
    for (const { name, summary } of more) expect(told).to.include(`${name}: ${summary}`);
    expect(components.schemas.NoteEvent?.properties).to.have.property('deep');

    const others = routes.filter(({ path }) => !path.startsWith('/events'));
    const document = openApiDocument([...others, ...streamRoutes(more)], { version: '0.0.0', server: '' });
    const event = document.components.schemas.Event as {
      properties: { name: { enum: string[] }; data: { anyOf: object[] } };
    };
    expect(event.properties.name.enum).to.deep.equal(more.map(({ name }) => name));
    const schemas = new Set(more.map(({ schema }) => schema));
    expect(event.properties.data.anyOf).to.have.lengthOf(schemas.size);
  });
});
