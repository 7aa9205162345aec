import { JSDOM, type TestElement } from 'jsdom';

/** What frameworks look for in a browser. */
const GLOBALS = [
  'document',
  'Element',
  'HTMLElement',
  'HTMLIFrameElement',
  'MathMLElement',
  'Node',
  'ShadowRoot',
  'SVGElement',
] as const;

/** A document without a browser in this process, into which a framework renders. */
export interface TestDocument {
  /** A new element of the document, with this in it. */
  element(html: string): TestElement;
  /** What was said on the console as a warning or an error: hydration that does not match, above all. */
  complaints: string[];
  /** All is as before. What renders has to be unmounted by then. */
  close(): void;
}

/**
 * One at a time: its `window` and `document` are global. Some frameworks look for them only when they are loaded, so they
 * are imported after this.
 */
export function openDocument(): TestDocument {
  const { window } = new JSDOM('<!doctype html><body></body>', { url: 'http://localhost/' });
  const globals: Record<string, unknown> = { window };
  for (const name of GLOBALS) globals[name] = window[name];
  const scope = globalThis as unknown as Record<string, unknown>;
  // Node has one of its own since version 21.
  if (!('navigator' in scope)) globals.navigator = window.navigator;
  const before = Object.entries(globals).map(
    ([name]) => [name, Object.hasOwn(scope, name), scope[name]] as const,
  );
  Object.assign(scope, globals);

  const complaints: string[] = [];
  const { error, warn } = console;
  const complain = (...said: unknown[]) => {
    complaints.push(said.map(String).join(' '));
  };
  console.error = complain;
  console.warn = complain;
  return {
    complaints,
    element: (html) => {
      const { body } = window.document;
      body.innerHTML = `<div id="app">${html}</div>`;
      const element = body.querySelector('#app');
      if (!element) throw new Error('there is no element');
      return element;
    },
    close: () => {
      Object.assign(console, { error, warn });
      for (const [name, existed, value] of before) {
        if (existed) scope[name] = value;
        else Reflect.deleteProperty(scope, name);
      }
      window.close();
    },
  };
}
