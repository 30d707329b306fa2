/** Shows how far a download is: a bar on a terminal, else one plain line for each tenth. */
import { oneLine, type Output } from '../terminal.js';
import { byteSize } from './byte-size.js';

export interface Progress {
  /** `done` bytes are here; `total` may become known only later. */
  update(done: number, total?: number): void;
  end(): void;
}

/** What reports progress for one named file. */
export type StartProgress = (label: string, total: number | undefined) => Progress;

/** Progress on `stream`, in the style that it can show. */
export function progressOn(stream: Output & { columns?: number }, now = Date.now): StartProgress {
  return (label, total) => (stream.isTTY ? bar : lines)(stream, oneLine(label), total, now);
}

/** No display at all. */
export const silentProgress: StartProgress = () => ({ update: () => undefined, end: () => undefined });

function bar(
  stream: Output & { columns?: number },
  label: string,
  expected: number | undefined,
  now: () => number,
) {
  const start = now();
  let total = expected;
  // what an earlier process fetched does not make this one fast
  let base: number | undefined;
  let done = 0;
  let drawn = 0;
  const draw = () => {
    drawn = now();
    const seconds = Math.max(0.001, (drawn - start) / 1000);
    const rate = Math.max(0, done - (base ?? 0)) / seconds;
    const share = total ? Math.min(1, done / total) : 0;
    const left = total && rate > 0 ? ` ${duration((total - done) / rate)} left` : '';
    const figures = `${String(Math.floor(share * 100)).padStart(3)} % ${byteSize(done)} ${byteSize(rate)}/s${left}`;
    const room = (stream.columns ?? 80) - label.length - figures.length - 5;
    const width = Math.max(0, Math.min(30, room));
    const filled = Math.round(share * width);
    const shape = width > 4 ? `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ` : '';
    stream.write(`\r\u001b[K${label} ${shape}${figures}`);
  };
  return {
    update(bytesDone: number, bytesTotal?: number) {
      base ??= bytesDone;
      done = bytesDone;
      total = bytesTotal ?? total;
      if (now() - drawn > 100) draw();
    },
    end() {
      if (done === 0) return;
      draw();
      stream.write('\n');
    },
  };
}

function lines(stream: Output, label: string, expected: number | undefined, now: () => number) {
  const start = now();
  let total = expected;
  let tenth = 0;
  let base: number | undefined;
  return {
    update(done: number, bytesTotal?: number) {
      base ??= done;
      total = bytesTotal ?? total;
      if (!total) return;
      const reached = Math.min(10, Math.floor((10 * done) / total));
      if (reached <= tenth) return;
      tenth = reached;
      const rate = Math.max(0, done - base) / Math.max(0.001, (now() - start) / 1000);
      // of what an earlier process left there is no rate to tell
      const speed = rate > 0 ? `, ${byteSize(rate)}/s` : '';
      stream.write(`${label} ${reached * 10} % of ${byteSize(total)}${speed}\n`);
    },
    end: () => undefined,
  };
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
