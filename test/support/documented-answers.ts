import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { OpenApiDocument, Operation } from '../../server/docs/openapi.ts';
import type { Answer } from './world.ts';

/** A validator for the schemas of a document under its dialect, which is JSON Schema draft 2020-12. */
export function schemaValidator(document: object): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
  addFormats.default(ajv);
  // It is taken in whole, so that its schemas can refer to each other; the rest of it is no schema.
  ajv.addVocabulary(Object.keys(document));
  ajv.addSchema(document, DOCUMENT, false, false);
  return ajv;
}

const DOCUMENT = 'urn:tidings:document';

/** Compiles what stands at a JSON pointer of the document. */
export function compileAt(ajv: Ajv2020, ...path: string[]): ValidateFunction {
  const pointer = path.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1')));
  return ajv.compile({ $ref: `${DOCUMENT}#/${pointer.join('/')}` });
}

/** Holds answers of a running server against the OpenAPI document. */
export class DocumentedAnswers {
  /** What was seen so far: `post /posts 201`. */
  readonly seen = new Set<string>();
  readonly #document: OpenApiDocument;
  readonly #ajv: Ajv2020;

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.#ajv = schemaValidator(document);
  }

  /** What the document does not tell of an answer, in a sentence; undefined if it tells all of it. */
  fault(method: string, url: string, answer: Answer): string | undefined {
    const path = this.#pathOf(method, url.split('?', 1)[0] ?? '');
    if (path === undefined) return `${method} ${url} is not in the document`;
    const told = this.#operation(path, method)?.responses[answer.status];
    const what = `${method} ${path} ${answer.status}`;
    if (!told) return `${what} is not in the document`;
    const at =
      '$ref' in told
        ? told.$ref.split('/').slice(1)
        : ['paths', path, method, 'responses', String(answer.status)];
    const response = at.reduce<unknown>(
      (node, key) => (node as Record<string, unknown>)[key],
      this.#document,
    ) as {
      headers?: Record<string, unknown>;
      content?: Record<string, unknown>;
    };
    for (const name of Object.keys(response.headers ?? {})) {
      if (!answer.headers.has(name)) return `${what} lacks the header ${name}`;
    }
    this.seen.add(what);
    const type = answer.headers.get('content-type')?.split(';', 1)[0];
    if (!response.content) return type === undefined ? undefined : `${what} has a body (${type})`;
    if (type === undefined || !response.content[type]) return `${what} is ${type ?? 'without a body'}`;
    const validate = compileAt(this.#ajv, ...at, 'content', type, 'schema');
    return validate(answer.body) ? undefined : `${what}: ${this.#ajv.errorsText(validate.errors)}`;
  }

  #operation(path: string, method: string): Operation | undefined {
    return this.#document.paths[path]?.[method];
  }

  /** The template that a path fills; one without parameters goes before one with. */
  #pathOf(method: string, path: string): string | undefined {
    if (this.#operation(path, method)) return path;
    return Object.keys(this.#document.paths).find(
      (template) =>
        this.#operation(template, method) &&
        new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
    );
  }
}
