/** A line of the node's log. */
export interface LogLine {
  level: number;
  msg: string;
  [name: string]: unknown;
}

/** Collects what a world logs: `read` is given to `createWorld`. */
export function logLines(): { read: (line: string) => void; all: () => LogLine[] } {
  const lines: LogLine[] = [];
  return {
    read: (line) => lines.push(JSON.parse(line) as LogLine),
    all: () => lines,
  };
}
