import ts from 'typescript';

/** Attributes that a reader sees or hears. */
const read = new Set(['aria-label', 'aria-description', 'title', 'placeholder', 'alt']);
/** Attributes that hold several words which nobody reads. */
const unread = new Set(['class', 'rel', 'd', 'viewBox']);
/** Calls whose arguments are selectors or media queries. */
const selecting = new Set([
  'querySelector',
  'querySelectorAll',
  'closest',
  'matches',
  'matchMedia',
  'focus',
  'press',
]);

const LETTER = /\p{L}/u;
/** Two words, or one that begins as a sentence or a label does. */
const PROSE = /\p{Ll}{2}[^\p{L}\s]*\s+\p{L}|^\p{Lu}\p{Ll}+[^\p{L}\p{N}]*$/u;

/**
 * What a source of the page says to its readers by itself, rather than by a message of the language files: text between
 * tags, attributes that are read, and every other text that looks like words.
 * @param allowed texts that are the same in every language
 */
export function literalWords(file: string, content: string, allowed: ReadonlySet<string>): string[] {
  const source = ts.createSourceFile(file, content, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const look = (node: ts.Node): void => {
    if (isUnread(node)) return;
    const pieces = piecesOf(node);
    const text = pieces.join('').trim();
    if (!allowed.has(text) && (isRead(node) ? LETTER.test(text) : PROSE.test(pieces.join('x')))) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${file}:${line + 1} ${text}`);
    }
    ts.forEachChild(node, look);
  };
  look(source);
  return found;
}

/** The text of a node; of a template what is around that which is filled in. */
function piecesOf(node: ts.Node): string[] {
  if (ts.isJsxText(node) || ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isTemplateExpression(node))
    return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)];
  return [];
}

/** Whether it is text between tags, or the value of an attribute that is read: not what a call in there is given. */
function isRead(node: ts.Node): boolean {
  if (ts.isJsxText(node)) return true;
  for (let at = node.parent; at !== undefined; at = at.parent) {
    if (ts.isJsxAttribute(at)) return read.has(at.name.getText());
    if (ts.isJsxExpression(at) && !ts.isJsxAttribute(at.parent)) return true;
    const isPart =
      ts.isJsxExpression(at) ||
      ts.isParenthesizedExpression(at) ||
      (ts.isConditionalExpression(at) && !isWithin(node, at.condition)) ||
      (ts.isBinaryExpression(at) && !isComparison(at));
    if (!isPart) return false;
  }
  return false;
}

function isUnread(node: ts.Node): boolean {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTypeNode(node)) return true;
  // The name of a key or a member.
  if (ts.isStringLiteral(node) && ts.isBinaryExpression(node.parent) && isComparison(node.parent))
    return true;
  if (ts.isJsxAttribute(node)) return unread.has(node.name.getText());
  if (ts.isNewExpression(node)) return node.expression.getText().endsWith('Error');
  if (ts.isCallExpression(node)) return selecting.has(node.expression.getText().split('.').at(-1) ?? '');
  return false;
}

function isComparison({ operatorToken }: ts.BinaryExpression): boolean {
  return [
    ts.SyntaxKind.EqualsEqualsEqualsToken,
    ts.SyntaxKind.ExclamationEqualsEqualsToken,
    ts.SyntaxKind.InKeyword,
  ].includes(operatorToken.kind);
}

function isWithin(node: ts.Node, outer: ts.Node): boolean {
  return node.pos >= outer.pos && node.end <= outer.end;
}
