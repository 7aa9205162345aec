import { escaped } from './html.ts';

/**
 * The HTML of a description in a document of ours: paragraphs, code, `code`, **emphasis** and [links](/docs). Nothing else
 * of Markdown is in them, and what is not known stays text.
 */
export function markdown(text: string): string {
  return text
    .split(/^```\w*\n([\s\S]*?)^```$/m)
    .map((part, at) =>
      at % 2 === 1 ? `<pre tabindex="0"><code>${escaped(part)}</code></pre>` : paragraphs(part),
    )
    .join('\n');
}

/** A description of one line, to stand in a line. */
export function inlineMarkdown(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part) =>
      part.startsWith('`') && part.length > 2
        ? `<code>${escaped(part.slice(1, -1))}</code>`
        : escaped(part)
            .replaceAll(/\[([^\]]+)\]\((\/[^)\s]*|https:[^)\s]*)\)/g, '<a href="$2">$1</a>')
            .replaceAll(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>'),
    )
    .join('');
}

function paragraphs(text: string): string {
  return text
    .split(/\n{2,}/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => `<p>${inlineMarkdown(part)}</p>`)
    .join('\n');
}
