import type { JsonSchema } from '../api/json-schema.ts';
import type { AsyncApiDocument } from './asyncapi.ts';
import { escaped } from './html.ts';
import { inlineMarkdown, markdown } from './markdown.ts';

type Operation = AsyncApiDocument['operations'][string];
type Message = AsyncApiDocument['components']['messages'][string];

/**
 * The AsyncAPI document as HTML, without a script: viewers of such documents compile its schemas with `eval`, which a page
 * of the origin that has the tokens of users must not allow.
 */
export function socketPage(document: AsyncApiDocument): string {
  const { info, servers, operations, components } = document;
  const sent = Object.values(operations).filter(({ action }) => action === 'send');
  const received = Object.values(operations).filter(({ action }) => action === 'receive');
  const { description: aboutServer } = servers.node as { description: string };
  return `<article class="interface">
<h1>${escaped(String(info.title))} <small>${escaped(String(info.version))}</small></h1>
${markdown(String(info.description))}
<p>${inlineMarkdown(aboutServer)}</p>
<p>As a document for programs: <a href="/asyncapi.json">asyncapi.json</a></p>
<nav aria-label="Messages">
${contents('The service says', sent)}
${contents('The client says', received)}
</nav>
${group('The service says', sent, components.messages)}
${group('The client says', received, components.messages)}
<section>
<h2>Shapes</h2>
${Object.entries(components.schemas)
  .map(
    ([name, schema]) =>
      `<section class="shape" id="shape-${escaped(name)}"><h3>${escaped(name)}</h3>${shape(schema)}</section>`,
  )
  .join('\n')}
</section>
</article>`;
}

function contents(title: string, operations: readonly Operation[]): string {
  const entries = operations.map(
    (operation) => `<li><a href="#${anchorOf(operation)}">${escaped(operation.title)}</a></li>`,
  );
  return `<section><h2>${title}</h2><ul>${entries.join('')}</ul></section>`;
}

function anchorOf({ title }: Operation): string {
  return `message-${title.replaceAll(/[^\w]+/g, '-')}`;
}

function group(
  title: string,
  operations: readonly Operation[],
  messages: Readonly<Record<string, Message>>,
): string {
  const find = ({ $ref }: { $ref: string }) => messages[$ref.split('/').at(-1) ?? ''];
  const all = operations.map((operation) => {
    const { summary, description, reply } = operation;
    return `<section class="message" id="${anchorOf(operation)}">
<h3>${escaped(operation.title)}</h3>
${summary === undefined ? '' : `<p><strong>${inlineMarkdown(summary)}</strong></p>`}
${description === undefined ? '' : markdown(description)}
${operation.messages.map((one) => payload(find(one))).join('\n')}
${reply ? `<h4>Answered by</h4>${reply.messages.map((one) => payload(find(one), true)).join('\n')}` : ''}
</section>`;
  });
  return `<section>\n<h2>${title}</h2>\n${all.join('\n')}\n</section>`;
}

function payload(message: Message | undefined, named = false): string {
  if (!message) return '';
  const { name, description, payload: schema } = message;
  return `<div class="payload">
${named ? `<p><code>${escaped(name)}</code></p>` : ''}
${description === undefined ? '' : markdown(description)}
${shape(schema)}
</div>`;
}

/** A schema in words: its type with its limits, what it is for, and its parts. */
function shape(schema: JsonSchema): string {
  const { description, items } = schema;
  const alternatives = schema.oneOf ?? schema.anyOf ?? [];
  const parts = [
    `<p class="type">${typeOf(schema)}${limitsOf(schema)}</p>`,
    description === undefined ? '' : `<p>${inlineMarkdown(description)}</p>`,
    properties(schema),
    Array.isArray(items)
      ? `<ol>${items.map((item) => `<li>${shape(item)}</li>`).join('')}</ol>`
      : items
        ? `<div class="each">${shape(items)}</div>`
        : '',
    ...(schema.allOf ?? []).map(shape),
    alternatives.length > 0 ? `<ul>${alternatives.map((one) => `<li>${shape(one)}</li>`).join('')}</ul>` : '',
    example(schema),
  ];
  return parts.join('');
}

function typeOf({ $ref, type, items, oneOf, anyOf, allOf, const: only }: JsonSchema): string {
  if ($ref !== undefined) {
    const name = escaped($ref.split('/').at(-1) ?? '');
    return `<a href="#shape-${name}">${name}</a>`;
  }
  if (only !== undefined) return `<code>${escaped(JSON.stringify(only))}</code>`;
  if (Array.isArray(items)) return 'arguments, in this order';
  if (type !== undefined) return escaped([type].flat().join(' or ')) + (items ? ' of' : '');
  if (oneOf || anyOf) return 'one of';
  return allOf ? 'all of' : 'anything';
}

const limits: Record<string, string> = {
  format: 'format',
  minimum: 'at least',
  exclusiveMinimum: 'more than',
  maximum: 'at most',
  minLength: 'characters at least',
  maxLength: 'characters at most',
  minItems: 'entries at least',
  maxItems: 'entries at most',
  pattern: 'pattern',
  default: 'default',
};

function limitsOf(schema: JsonSchema): string {
  // That a list of arguments has so many is to be seen.
  const isTuple = Array.isArray(schema.items);
  const told = Object.entries(limits).flatMap(([keyword, words]) => {
    const value = schema[keyword];
    if (value === undefined || (isTuple && keyword.endsWith('Items'))) return [];
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return [`${words} <code>${escaped(text)}</code>`];
  });
  const values = schema.enum?.map((value) => `<code>${escaped(JSON.stringify(value))}</code>`);
  if (values) told.push(`one of ${values.join(' ')}`);
  return told.map((one) => ` · ${one}`).join('');
}

function properties({ properties: all = {}, required = [] }: JsonSchema): string {
  const rows = Object.entries(all).map(([name, schema]) => {
    const needed = required.includes(name) ? '' : ' <small>may be absent</small>';
    return `<dt><code>${escaped(name)}</code>${needed}</dt><dd>${shape(schema)}</dd>`;
  });
  return rows.length === 0 ? '' : `<dl>${rows.join('')}</dl>`;
}

/** Of what has parts of its own: that of a single value is in the one of the whole. */
function example({ examples, properties: parts }: JsonSchema): string {
  const [first] = examples ?? [];
  if (first === undefined || !parts) return '';
  return `<pre tabindex="0"><code>${escaped(JSON.stringify(first, undefined, 2))}</code></pre>`;
}
