/** One line of the bench: what was measured, beside its limit, round by round. */
export interface Line {
  what: string;
  unit: string;
  /** What it is held against. */
  limit: string;
  ours: number[];
  /** The limit's own figures, measured in the same rounds; empty where the limit is a plain number or there is none. */
  theirs: number[];
  /** What another build took in the same rounds, if there is one; undefined otherwise. */
  before?: number[];
  /**
   * What ours divided by theirs, or ours itself, has to reach; undefined for a figure that is only told. `orOurs`: as good
   * if ours by itself is at least that, in the line's unit.
   */
  reach: { atMost: number } | { atLeast: number; orOurs?: number } | undefined;
  notes: string[];
}

/** A line that has no figures yet. Without a limit it is held against nothing, without a reach it is only told. */
export function newLine(line: Pick<Line, 'what' | 'unit'> & Partial<Line>): Line {
  return { limit: '', reach: undefined, ...line, ours: [], theirs: [], notes: [...(line.notes ?? [])] };
}

/** The middle of some figures. */
export function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** Ours by theirs, round by round; ours alone where there is no limit to divide by. */
export function ratios({ ours, theirs }: Line): number[] {
  return theirs.length === 0 ? ours : ours.map((figure, at) => figure / (theirs[at] ?? NaN));
}

/** Whether the median reaches what it has to; undefined where nothing has to be reached. */
export function reaches(line: Line): boolean | undefined {
  if (!line.reach) return undefined;
  const ratio = median(ratios(line));
  if ('atMost' in line.reach) return ratio <= line.reach.atMost;
  return ratio >= line.reach.atLeast || median(line.ours) >= (line.reach.orOurs ?? Infinity);
}
