/** As much of jsdom as the tests use; its own types need those of a browser. */
declare module 'jsdom' {
  export interface TestElement {
    innerHTML: string;
    readonly textContent: string;
    querySelector(selector: string): TestElement | null;
    querySelectorAll(selector: string): Iterable<TestElement>;
    click(): void;
  }

  export class JSDOM {
    constructor(html: string, options: { url: string; pretendToBeVisual?: boolean });
    readonly window: {
      readonly document: TestElement & { readonly body: TestElement };
      close(): void;
    } & Record<string, unknown>;
  }
}
