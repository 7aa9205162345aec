import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';

/**
 * Delays in microseconds, to three digits. `node:perf_hooks` has such a histogram too, but it cannot leave its process,
 * and the clients live in several.
 */
export class Delays {
  readonly #histogram: Histogram = build({ numberOfSignificantValueDigits: 3, autoResize: true });

  /** @param milliseconds below zero where two clocks differ: counted as none */
  record(milliseconds: number): void {
    this.#histogram.recordValue(Math.max(0, Math.round(milliseconds * 1000)));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Adds what `encode` gave in another process. */
  add(encoded: string): void {
    this.#histogram.add(decodeFromCompressedBase64(encoded));
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }

  reset(): void {
    this.#histogram.reset();
  }

  /** Undefined where nothing was recorded. */
  summary(): DelaySummary | undefined {
    if (this.count === 0) return undefined;
    const at = (percentile: number) => this.#histogram.getValueAtPercentile(percentile) / 1000;
    return { count: this.count, p50: at(50), p95: at(95), p99: at(99), max: this.#histogram.maxValue / 1000 };
  }

  /** The delay below which each of these percentages of events arrived, in milliseconds. */
  percentiles(percentages: readonly number[]): number[] {
    return percentages.map((percentage) => this.#histogram.getValueAtPercentile(percentage) / 1000);
  }
}

/** Milliseconds. */
export interface DelaySummary {
  count: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}
