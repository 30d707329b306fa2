/** Is this measurement slower than an earlier one? */
import { readFileSync } from 'node:fs';
import { AxllmError } from '../errors.js';
import type { Measured } from './measure.js';

const rates = ['prefill_tokens_per_second', 'decode_tokens_per_second'] as const;

/** What `bench --json` wrote, as far as it is compared: the medians. */
export type Baseline = Partial<Record<(typeof rates)[number], number>>;

/** Reads a file of `axllm bench --json`. */
export function readBaseline(path: string): Baseline {
  const wrong = (reason: string, cause?: unknown) =>
    new AxllmError('bad_baseline', `${path}: ${reason}`, {
      cause,
      hint: 'write one with axllm bench --json',
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw wrong((cause as Error).message, cause);
  }
  const known = rates.flatMap((rate) => {
    const value = (parsed as Record<string, unknown> | null)?.[rate];
    return typeof value === 'number' && value > 0 ? [[rate, value] as const] : [];
  });
  if (known.length === 0) throw wrong('it holds no rates');
  return Object.fromEntries(known);
}

/** One line for each rate that is more than `threshold` percent below the baseline's. */
export function slower(measured: Measured, baseline: Baseline, threshold: number): string[] {
  return rates.flatMap((rate) => {
    const [now, then] = [measured[rate]?.median, baseline[rate]];
    if (now === undefined || then === undefined || now >= then * (1 - threshold / 100)) return [];
    const loss = (100 * (1 - now / then)).toFixed(1);
    return [`${rate}: ${now.toFixed(1)} is ${loss} % below ${then.toFixed(1)} (accepted: ${threshold} %)`];
  });
}
