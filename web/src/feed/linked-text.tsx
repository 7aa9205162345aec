import { useMemo } from 'preact/hooks';
import { type PostView, type TextPart, textParts } from 'tidings-client';
import { PlaceLink } from '../places/place-link.tsx';

/** A text of a post with its tags, mentions and web addresses as links. Text nodes and links, never markup. */
export function LinkedText({ of: { tags, mentions }, text }: { of: PostView; text: string }) {
  const parts = useMemo(() => textParts(text, { tags, mentions }), [text, tags, mentions]);
  return (
    <>
      {parts.map((part, index) => (
        <Part key={index} part={part} />
      ))}
    </>
  );
}

function Part({ part }: { part: TextPart }) {
  switch (part.kind) {
    case 'text':
      return part.text;
    case 'tag':
      return (
        <PlaceLink to={{ name: 'tag', tag: part.tag, sort: 'new' }} current={false}>
          {part.text}
        </PlaceLink>
      );
    case 'mention':
      return (
        <PlaceLink to={{ name: 'author', ...part.user }} current={false}>
          {part.text}
        </PlaceLink>
      );
    case 'link':
      return (
        <a href={part.href} target="_blank" rel="noopener nofollow ugc">
          {part.text}
        </a>
      );
  }
}
