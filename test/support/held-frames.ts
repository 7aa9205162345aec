import { validateFrame } from './frames.ts';

/**
 * Every frame that the clients of the tests are sent is held against the AsyncAPI document, whichever client it is: the
 * package, one that speaks by hand, a page in a browser. One that the document does not tell of fails the run.
 */
const faults = new Set<string>();
/** What is notified of a run in which everything is wrong. */
const MANY = 20;
/** How much of a frame is shown. Characters. */
const LONG = 200;
let running = '(before the first test)';

/** Broadcasts that were found good, as text: hundreds of sockets are sent the same, and it is looked at once. */
const good = new Set<string>();
const KEPT = 500;

/** The frames of one WebSocket. */
export class HeldFrames {
  readonly #asked: Map<number, string> | undefined;
  readonly #clientIsOurs: boolean;
  readonly #note: (fault: string) => void;

  /** @param clientIsOurs whether what the client says has to be in the document too: a client by hand breaks the rules on purpose */
  constructor({ clientIsOurs, tell = note }: { clientIsOurs: boolean; tell?: (fault: string) => void }) {
    this.#clientIsOurs = clientIsOurs;
    // A client by hand may give two requests one number.
    this.#asked = clientIsOurs ? new Map() : undefined;
    this.#note = tell;
  }

  /** The client said this. */
  said(frame: string): void {
    const fault = this.#faultOf('receive', frame);
    if (fault !== undefined && this.#clientIsOurs) this.#note(`a client said ${fault}`);
  }

  /** The server said this. */
  heard(frame: string): void {
    if (good.has(frame)) return;
    const fault = this.#faultOf('send', frame);
    if (fault !== undefined) this.#note(`the server said ${fault}`);
    else if (frame.startsWith('42[')) {
      if (good.size >= KEPT) good.clear();
      good.add(frame);
    }
  }

  /** What was said is no WebSocket. */
  broken(why: string): void {
    this.#note(`a WebSocket carried ${why}`);
  }

  #faultOf(direction: 'send' | 'receive', frame: string): string | undefined {
    try {
      const result = validateFrame(direction, frame, this.#asked);
      return result && 'fault' in result ? `${result.fault} in ${frame.slice(0, LONG)}` : undefined;
    } catch (error) {
      return `${String(error)} in ${frame.slice(0, LONG)}`;
    }
  }
}

function note(fault: string): void {
  if (faults.size < MANY) faults.add(`during "${running}": ${fault}`);
}

/** What was found so far, each in a sentence. A run outside of mocha asks for it at its end. */
export function frameFaults(): string[] {
  return [...faults];
}

export const mochaHooks = {
  beforeEach(this: Mocha.Context): void {
    running = this.currentTest?.fullTitle() ?? running;
  },
  afterAll(): void {
    if (faults.size > 0)
      throw new Error(`Frames that the AsyncAPI document does not tell of:\n${[...faults].join('\n')}`);
  },
};
