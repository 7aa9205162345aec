import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import { problems } from '../server/errors.ts';
import type { AuditAction } from '../server/moderation/present.ts';
import { packageRoot } from '../server/paths.ts';
import { de } from '../web/src/languages/de.ts';
import { en } from '../web/src/languages/en.ts';
import { literalWords } from './support/literal-words.ts';

type Message = string | Readonly<Record<string, string>>;

const SOURCES = join(packageRoot, 'web/src');
/** Problems that the page never meets: of requests that it does not make, and of API keys, which it has none of. */
const neverMet = [
  'malformed',
  'insufficient_scope',
  'method_not_allowed',
  'unsupported_media_type',
  'misdirected',
  'headers_too_large',
];
/** The name of the service. */
const everywhere = new Set(['Tidings']);

const languages: Record<string, Record<string, Message>> = { en, de };

const textsOf = (message: Message) => (typeof message === 'string' ? [message] : Object.values(message));
const namesIn = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort();

describe('the messages of the page', () => {
  let sources: Map<string, string>;

  before(async () => {
    const files = (await readdir(SOURCES, { recursive: true, withFileTypes: true })).filter(
      (entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.parentPath.endsWith('languages'),
    );
    sources = new Map(
      await Promise.all(
        files.map(async ({ parentPath, name }) => {
          const path = join(parentPath, name);
          return [relative(SOURCES, path), await readFile(path, 'utf8')] as const;
        }),
      ),
    );
    expect(sources.size).to.be.above(80);
  });

  for (const [language, messages] of Object.entries(languages)) {
    it(`are the same in each language, with the same to fill in: ${language}`, () => {
      expect(Object.keys(messages)).to.have.members(Object.keys(en));
      for (const [key, message] of Object.entries(messages)) {
        const inEnglish = (en as Record<string, Message>)[key] ?? '';
        expect(typeof message, key).to.equal(typeof inEnglish);
        const names = new Set(textsOf(inEnglish).flatMap(namesIn));
        for (const text of textsOf(message)) {
          expect(text.trim(), key).to.equal(text).and.not.equal('');
          // "One person" is a form without its number.
          expect(typeof message === 'string' ? namesIn(text) : [], key).to.deep.equal(
            typeof message === 'string' ? [...names].sort() : [],
          );
          for (const name of namesIn(text)) expect(names, key).to.include(name);
        }
        if (typeof message === 'string') continue;
        // All forms that the language has, and no other.
        expect(Object.keys(message), key).to.have.members(
          new Intl.PluralRules(language).resolvedOptions().pluralCategories,
        );
        expect(message.other, key).to.include('{count}');
      }
    });
  }

  it('are there for each problem that a reader may meet', () => {
    const told = new Set(Object.keys(en));
    expect(Object.keys(problems).filter((code) => !told.has(`problem.${code}`))).to.have.members(neverMet);
  });

  it('are all that the views say', () => {
    const found = [...sources].flatMap(([file, text]) => literalWords(file, text, everywhere));
    expect(found).to.deep.equal([]);
  });

  it('would be missed where a view has words of its own', () => {
    const planted = [
      'const a = <p>deleted</p>;',
      "const b = <button aria-label={open ? 'less' : say('post.unfold')} />;",
      "const c = <Field label={'Title'} />;",
      "notify('It was done', 'failed');",
      'const d = `${name} follows ${other}`;',
      "const e = <p>{count === 1 ? 'one' : count}</p>;",
    ];
    for (const line of planted) expect(literalWords('x.tsx', line, everywhere), line).to.have.length(1);
    const silent = [
      "const a = <p class={open ? 'composer open' : 'composer'}>{say('post.fold')}</p>;",
      "document.querySelector('input, textarea');",
      "throw new Error('The thread is not shown yet.');",
      "if (event.key === 'Escape') leave();",
      "const b = <p>{list === 'open' && say('moderation.noneOpen')}</p>;",
    ];
    for (const line of silent) expect(literalWords('x.tsx', line, everywhere), line).to.deep.equal([]);
  });

  it('are there for all that the audit log has entries of', () => {
    const actions = {
      remove: true,
      restore: true,
      lock: true,
      unlock: true,
      warn: true,
      suspend: true,
      unsuspend: true,
      dismiss: true,
      grant: true,
      reset_link: true,
      totp_off: true,
      reset_password: true,
      change_email: true,
      undo_email: true,
      link_identity: true,
      unlink_identity: true,
      take_over: true,
      create_key: true,
      revoke_key: true,
      create_webhook: true,
      change_webhook: true,
    } satisfies Record<AuditAction, true>;
    for (const action of Object.keys(actions)) expect(en).to.have.property(`moderation.log.${action}`);
  });

  it('are all used', () => {
    const all = [...sources.values()].join('\n');
    // A name that is put together stands for each that it may come to: what has dots is in the sources too.
    const patterns = [...all.matchAll(/`([\w.-]*\$\{[^`]*)`/g)].map(
      ([, template = '']) =>
        new RegExp(
          `^${template
            .split(/\$\{[^}]*\}/)
            .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
            .join('([\\w.-]+)')}$`,
        ),
    );
    const isWritten = (part: string) => !part.includes('.') || all.includes(`'${part}'`);
    const unused = Object.keys(en).filter(
      (key) =>
        !all.includes(`'${key}'`) &&
        !all.includes(`"${key}"`) &&
        !patterns.some((pattern) => pattern.exec(key)?.slice(1).every(isWritten)),
    );
    expect(unused).to.deep.equal([]);
  });
});
