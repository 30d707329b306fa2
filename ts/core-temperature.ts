/**
 * Core temperatures of a real card, from the vendor's `triton_trace`.
 *
 * The tool needs the card's log level raised, and it must be put back however this process ends. A shell of its
 * own session does both: it waits on a pipe that the kernel closes when this process is gone, even by SIGKILL.
 *
 * The tool's options and its line `core_temps=[34,33,34,33]` are as documented; the rest is assumed.
 */
import { spawn, type ChildProcess } from 'node:child_process';

const supervisor = `
triton_trace --device "$0" --slog-level inf:collector >/dev/null 2>&1
status=$?
if [ $status -eq 0 ]; then
  triton_trace --device "$0" --clear-buffer --slog &
  tracer=$!
fi
exec >/dev/null
while read -r _; do :; done
[ -n "$tracer" ] && kill "$tracer" 2>/dev/null && wait "$tracer" 2>/dev/null
[ $status -eq 127 ] || triton_trace --device "$0" --slog-level err >/dev/null 2>&1
`;

/** At most this much of an unfinished line is kept: the tool's output is not trusted. */
const longestLine = 64 * 1024;

/** How long a reply that was quicker than the tool waits for its first reading. */
const patienceMs = 2000;

/** Follows one device's temperatures until stopped. */
export class Thermometer {
  private highest: number | undefined;
  private heard!: () => void;
  /** Something was read, or nothing ever will be. */
  private readonly first = new Promise<void>((resolve) => (this.heard = resolve));
  private rest = '';
  private readonly child: ChildProcess;

  constructor(device: string, env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn('/bin/sh', ['-c', supervisor, device], {
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    // no shell, no temperature; a pipe that breaks says no more
    const gone = () => {
      this.highest = undefined;
      this.heard();
    };
    this.child.on('error', gone);
    this.child.stdin?.on('error', () => undefined);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.read(text));
    this.child.stdout?.on('end', gone);
    this.child.unref();
    for (const stream of [this.child.stdin, this.child.stdout]) {
      (stream as { unref?(): void } | null)?.unref?.();
    }
  }

  /** The hottest core in °C so far; `undefined` where the tool is missing, has ended or says nothing usable. */
  get now(): number | undefined {
    return this.highest;
  }

  /** As {@link now}, but waits a moment where the tool has not spoken yet. */
  async latest(): Promise<number | undefined> {
    const timer = setTimeout(this.heard, patienceMs);
    await this.first;
    clearTimeout(timer);
    return this.highest;
  }

  /** Ends the tool; the log level is put back. */
  stop(): void {
    this.child.stdin?.end();
  }

  private read(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = (lines.pop() ?? '').slice(-longestLine);
    for (const line of lines) this.highest = hottest(line) ?? this.highest;
    if (this.highest !== undefined) this.heard();
  }
}

/** The highest of a line's `core_temps=[…]`; `undefined` for any other line. */
export function hottest(line: string): number | undefined {
  const list = /core_temps=\[([\d,\s-]{1,200})\]\s*$/.exec(line)?.[1];
  if (list === undefined) return undefined;
  const degrees = list.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  // a chip is neither colder nor hotter than this and still answers
  return degrees.every((value) => value >= -55 && value <= 200) ? Math.max(...degrees) : undefined;
}

/** A thermometer for a card that is not simulated: those have a property of their own. */
export function thermometerFor(device: string): Thermometer | undefined {
  return device === 'cpu' || device.startsWith('metis-sim') ? undefined : new Thermometer(device);
}
