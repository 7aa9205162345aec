import { readdir, readFile } from 'node:fs/promises';
import { join, posix, relative } from 'node:path';
import ts from 'typescript';

/** Sources by their path from the root of the repository, with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

export interface Import {
  from: string;
  to: string;
  /** Nothing of it is left when it runs. */
  typeOnly: boolean;
}

/** Reads every TypeScript file of these folders. */
export async function readSources(root: string, folders: readonly string[]): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const folder of folders) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const file = join(entry.parentPath, entry.name);
      sources.set(relative(root, file).replaceAll('\\', '/'), await readFile(file, 'utf8'));
    }
  }
  return sources;
}

/** Every import of one of the sources by another, in whatever way TypeScript can say it: static, of a type, dynamic, passed on. */
export function importsOf(sources: Sources): Import[] {
  return [...sources].flatMap(([from, text]) => {
    const known = parsed.get(from);
    if (known?.text === text) return known.imports;
    const imports = importsIn(from, text);
    parsed.set(from, { text, imports });
    return imports;
  });
}

/** What a file was found to import: parsing all of them takes a second. */
const parsed = new Map<string, { text: string; imports: Import[] }>();

function importsIn(from: string, text: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (!specifier || !ts.isStringLiteralLike(specifier) || !specifier.text.startsWith('.')) return;
    found.push({ from, to: posix.join(posix.dirname(from), specifier.text), typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(from, text, ts.ScriptTarget.Latest, true));
  return found;
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  if (clause.name || !names || !ts.isNamedImports(names)) return false;
  return names.elements.length > 0 && names.elements.every((element) => element.isTypeOnly);
}

/** The groups of files that import each other in a circle (Tarjan's strongly connected components of more than one). */
export function cyclesOf(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string): number => {
    const at = order.size;
    order.set(file, at);
    low.set(file, at);
    stack.push(file);
    for (const other of next.get(file) ?? []) {
      if (!order.has(other)) low.set(file, Math.min(low.get(file) ?? at, visit(other)));
      else if (stack.includes(other)) low.set(file, Math.min(low.get(file) ?? at, order.get(other) ?? at));
    }
    if (low.get(file) === at) {
      const group = stack.splice(stack.indexOf(file));
      if (group.length > 1 || next.get(file)?.includes(file)) cycles.push(group.sort());
    }
    return low.get(file) ?? at;
  };
  for (const file of next.keys()) if (!order.has(file)) visit(file);
  return cycles;
}
