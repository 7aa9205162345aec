import { computed } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import {
  type PostView,
  searchParts,
  type TextBlock,
  textBlocks,
  type TextInline,
  type TextPart,
  textParts,
} from 'tidings-client';
import { say } from '../languages/say.ts';
import { place } from '../places/history.ts';
import { PlaceLink } from '../places/place-link.tsx';

/** The words that are searched for here. */
const sought = computed(() => (place.value.name === 'search' ? place.value.words : undefined));

/** A title with its tags, mentions and web addresses as links. Text nodes and links, never markup. */
export function LinkedText({ of: { tags, mentions }, text }: { of: PostView; text: string }) {
  const parts = useMemo(() => textParts(text, { tags, mentions }), [text, tags, mentions]);
  return <Inlines of={parts} />;
}

/** A text of a post with the marks of its writer. It is made of the elements here alone: no markup of users is any. */
export function MarkedText({ of: { tags, mentions }, text }: { of: PostView; text: string }) {
  const blocks = useMemo(() => textBlocks(text, { tags, mentions }), [text, tags, mentions]);
  return <Blocks of={blocks} />;
}

/** Text in which the words that are searched for are marked. */
export function SoughtText({ text }: { text: string }) {
  const words = sought.value;
  if (words === undefined) return text;
  return searchParts(text, words).map(({ text: part, found }, index) =>
    found ? <mark key={index}>{part}</mark> : part,
  );
}

function Blocks({ of }: { of: readonly TextBlock[] }) {
  return of.map((block, index) => <Block key={index} block={block} />);
}

function Block({ block }: { block: TextBlock }) {
  switch (block.kind) {
    case 'text':
      return (
        <p dir="auto">
          <Inlines of={block.inlines} />
        </p>
      );
    case 'code':
    case 'table':
      return (
        <pre
          dir={block.kind === 'code' ? 'ltr' : 'auto'}
          role="group"
          aria-label={say(`post.${block.kind}`)}
          tabIndex={0}
        >
          <code>
            <SoughtText text={block.text} />
          </code>
        </pre>
      );
    case 'quote':
      return (
        <blockquote>
          <Blocks of={block.blocks} />
        </blockquote>
      );
    case 'list': {
      const items = block.items.map((item, index) => (
        <li key={index} value={item.number}>
          <Blocks of={item.blocks} />
        </li>
      ));
      return block.ordered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
  }
}

function Inlines({ of }: { of: readonly (TextInline | TextPart)[] }) {
  return of.map((inline, index) => <Inline key={index} inline={inline} />);
}

function Inline({ inline }: { inline: TextInline }) {
  switch (inline.kind) {
    case 'text':
      return <SoughtText text={inline.text} />;
    case 'code':
      return (
        <code dir="ltr">
          <SoughtText text={inline.text} />
        </code>
      );
    case 'strong':
      return (
        <strong>
          <Inlines of={inline.inlines} />
        </strong>
      );
    case 'emphasis':
      return (
        <em>
          <Inlines of={inline.inlines} />
        </em>
      );
    case 'tag':
      return (
        <PlaceLink to={{ name: 'tag', tag: inline.tag, sort: 'new' }} dir="auto" current={false}>
          <SoughtText text={inline.text} />
        </PlaceLink>
      );
    case 'mention':
      return (
        <PlaceLink to={{ name: 'author', ...inline.user }} dir="auto" current={false}>
          <SoughtText text={inline.text} />
        </PlaceLink>
      );
    case 'link':
    case 'named-link':
      return (
        <a
          href={inline.href}
          dir="auto"
          target="_blank"
          rel="noopener nofollow ugc"
          title={inline.kind === 'named-link' ? inline.href : undefined}
        >
          <SoughtText text={inline.text} />
        </a>
      );
  }
}
