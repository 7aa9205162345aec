import { SingleBar } from 'cli-progress';
import type { Progress } from './run.ts';

/** A bar on the terminal for each part of the test; where there is none, a line now and then. */
export function terminalProgress(): Progress {
  let bar: SingleBar | undefined;
  return {
    begin: (part, total) => {
      bar?.stop();
      bar = new SingleBar({
        format: `${part.padEnd(22)} {bar} {value}/{total}  {duration_formatted}  {detail}`,
        barsize: 30,
        hideCursor: true,
        noTTYOutput: true,
        notTTYSchedule: 5000,
        etaBuffer: 100,
        stream: process.stdout,
      });
      bar.start(total, 0, { detail: '' });
    },
    update: (done, detail) => bar?.update(done, detail === undefined ? {} : { detail }),
    end: () => {
      if (!bar) return;
      bar.update(bar.getTotal());
      bar.stop();
      bar = undefined;
    },
  };
}
