import ts from 'typescript';

/** Members that Socket.IO, Engine.IO, ws, Node, Sequelize, pg and Express have and do not document, beside those that begin with `_`. */
const UNDOCUMENTED = new Set([
  'writeBuffer',
  'wsPreEncodedFrame',
  'packetsFn',
  'sentCallbackFn',
  'cleanupFn',
  'nsps',
  'acks',
  'fns',
  'connectionParameters',
  'processID',
  'setPrototypeOf',
  'getOwnPropertySymbols',
  'trust proxy fn',
]);
/** Imported by name, or as a member of the whole module. */
const UNDOCUMENTED_EXPORTS = new Set(['Sender', 'Receiver']);
/** Files of a library that it offers to anyone who looks for them. */
const OFFERED = /^[^/]+\/package\.json$|^@[^/]+\/[^/]+$|^node:/;

/** Uses of what libraries do not document in a source: members, files of theirs, and their classes changed. */
export function undocumentedUses(path: string, text: string): string[] {
  const found: string[] = [];
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const name = (node: ts.Node | undefined) => {
    if (!node || !(ts.isIdentifier(node) || ts.isStringLiteralLike(node))) return;
    if (/^_[a-zA-Z]/.test(node.text) || UNDOCUMENTED.has(node.text)) found.push(node.text);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node)) {
      name(node.name);
      if (UNDOCUMENTED_EXPORTS.has(node.name.text)) found.push(node.name.text);
    } else if (ts.isElementAccessExpression(node)) name(node.argumentExpression);
    else if (ts.isPropertySignature(node) || ts.isMethodSignature(node)) name(node.name);
    else if (ts.isBindingElement(node)) {
      // `{ name: _unused }` and parameters that nobody reads are our own names.
      if (ts.isObjectBindingPattern(node.parent)) name(node.propertyName ?? node.name);
    } else if (ts.isBinaryExpression(node)) {
      if (node.operatorToken.kind === ts.SyntaxKind.InKeyword) name(node.left);
      if (isAssignment(node) && /\.prototype\b/.test(node.left.getText(source))) found.push('prototype');
    } else if (ts.isCallExpression(node)) node.arguments.forEach((argument) => nameOfLiteral(argument));
    else if (ts.isImportSpecifier(node)) {
      const imported = (node.propertyName ?? node.name).text;
      if (UNDOCUMENTED_EXPORTS.has(imported)) found.push(imported);
    } else if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const { text: from } = node.moduleSpecifier;
      if (!from.startsWith('.') && from.includes('/') && !OFFERED.test(from)) found.push(from);
    }
    ts.forEachChild(node, visit);
  };
  const nameOfLiteral = (argument: ts.Expression) => {
    if (ts.isStringLiteralLike(argument) && UNDOCUMENTED.has(argument.text)) found.push(argument.text);
  };
  visit(source);
  return found;
}

function isAssignment({ operatorToken }: ts.BinaryExpression): boolean {
  return (
    operatorToken.kind >= ts.SyntaxKind.FirstAssignment && operatorToken.kind <= ts.SyntaxKind.LastAssignment
  );
}
