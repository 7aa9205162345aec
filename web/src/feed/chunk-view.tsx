import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { inFrameOfItsOwn } from '../chrome/frames.ts';
import { type Chunk, draw, isToBeDrawn } from './chunks.ts';
import { watchScreen } from './on-screen.ts';
import { PostCard } from './post-card.tsx';

/** Nearer to the screen than this, posts are drawn. */
const whileNear = watchScreen('2400px 0px');

interface ChunkViewProps {
  chunk: Chunk;
  /** Its posts have been drawn. */
  onDrawn: () => void;
}

/** Some posts of a list: drawn while they are near the screen, else an empty element of their height. */
export function ChunkView({ chunk, onDrawn }: ChunkViewProps) {
  const element = useRef<HTMLDivElement>(null);
  const height = chunk.height.value;
  useEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    let ended = false;
    const watch = () =>
      whileNear(target, () => {
        draw(chunk);
        return () => {
          if (!ended && !isInUse(target)) chunk.height.value = target.getBoundingClientRect().height;
        };
      });
    // Where its posts will be is not known before its turn, in a frame of its own.
    let end = isToBeDrawn(chunk)
      ? inFrameOfItsOwn(() => {
          draw(chunk);
          end = watch();
        })
      : watch();
    return () => {
      ended = true;
      end();
    };
  }, [chunk.height]);
  useLayoutEffect(() => {
    if (height === undefined) onDrawn();
  }, [height, onDrawn]);
  if (height !== undefined) return <div ref={element} style={{ height: `${height}px` }} />;
  return (
    <div ref={element}>
      {chunk.entries.map((entry) => (
        <PostCard key={entry.id} entry={entry} />
      ))}
    </div>
  );
}

/** Whether the reader would lose something by it: the focus, a selection, what they write or have unfolded. */
function isInUse(element: HTMLElement): boolean {
  const selection = getSelection();
  return (
    element.contains(document.activeElement) ||
    element.querySelector('form, [aria-expanded="true"]') !== null ||
    (selection !== null && !selection.isCollapsed && selection.containsNode(element, true))
  );
}
