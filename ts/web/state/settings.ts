/** The settings of the page: the rows of the table of options that shape a reply. */
import { samplingOptions, type OptionName, type OptionRow } from '../../options.js';
import { check } from '../../resolve.js';

export const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

/** By config key, as the HTTP interface takes them; what is absent is left to the server. */
export type Sampling = Readonly<Record<string, number | string | readonly string[]>>;

export interface PageSettings {
  /** For new conversations; absent: the server's. */
  readonly system?: string;
  readonly sampling: Sampling;
  readonly theme: Theme;
}

export const noSettings: PageSettings = { sampling: {}, theme: 'auto' };

/** The slider's range and step are the reference's; the option itself goes further. */
export const temperatureRange = { min: 0, max: 1.5, step: 0.05 } as const;

const rows = new Map<string, [OptionName, OptionRow]>(
  samplingOptions().map(([name, row]) => [row.key, [name, row]]),
);

/** The rows to show beside the temperature's slider. */
export function settingRows(): [OptionName, OptionRow][] {
  return [...rows.values()].filter(([name]) => name !== 'temperature');
}

/** `sampling` with `key` as it was typed; nothing typed leaves it to the server. Throws as the command line does. */
export function withSampling(sampling: Sampling, key: string, text: string): Sampling {
  const { [key]: _old, ...others } = sampling;
  const [name, row] = rows.get(key)!;
  if (text.trim() === '') return others;
  const raw = row.type === 'list' ? text.split('\n').filter((line) => line !== '') : text.trim();
  return { ...others, [key]: check(name, row, raw) as number | string | string[] };
}

/** A value as it is typed. */
export function samplingText(sampling: Sampling, key: string): string {
  const value = sampling[key];
  if (value === undefined) return '';
  return Array.isArray(value) ? value.join('\n') : String(value);
}

/** Settings as they were kept; what does not hold any more is left out. */
export function readKept(kept: Readonly<Record<string, unknown>>): PageSettings {
  let sampling: Sampling = {};
  const given = typeof kept.sampling === 'object' && kept.sampling !== null ? kept.sampling : {};
  for (const [key, value] of Object.entries(given)) {
    if (!rows.has(key)) continue;
    try {
      sampling = withSampling(sampling, key, Array.isArray(value) ? value.join('\n') : String(value));
    } catch {
      // an older version took it
    }
  }
  const theme = themes.find((name) => name === kept.theme) ?? 'auto';
  return { sampling, theme, ...(typeof kept.system === 'string' ? { system: kept.system } : {}) };
}
