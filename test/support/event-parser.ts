export interface StreamedEvent {
  /** Of its own block; empty if that has none. */
  id: string;
  event: string;
  data: string;
}

/** Reads Server-Sent Events as the HTML standard parses them (9.2.6), as far as our streams use it. */
export class EventParser {
  /** What a browser's next request says as `Last-Event-ID`; empty before the first. */
  lastEventId = '';
  readonly #decoder = new TextDecoder();
  #text = '';

  /** The events that this piece completes. */
  read(piece: Uint8Array): StreamedEvent[] {
    const blocks = (this.#text + this.#decoder.decode(piece, { stream: true })).split('\n\n');
    this.#text = blocks.pop() ?? '';
    return blocks.map((block) => this.#parse(block)).filter(({ data }) => data !== '');
  }

  #parse(block: string): StreamedEvent {
    const fields: StreamedEvent = { id: '', event: '', data: '' };
    for (const line of block.split(/\r\n|\r|\n/)) {
      const [, name, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
      if (name !== undefined) fields[name as keyof StreamedEvent] += value ?? '';
    }
    if (fields.id !== '') this.lastEventId = fields.id;
    return fields;
  }
}
