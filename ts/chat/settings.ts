/** What `/set` changes while a chat runs. Names, ranges and help are the rows of `options/`. */
import { UsageError } from '../errors.js';
import type { GenerateOptions } from '../native.js';
import { allOptions, type OptionName, type OptionRow, type OptionValues } from '../options.js';
import { check } from '../resolve.js';
import { closeMatches } from '../suggest.js';
import type { Telemetry } from './stats.js';

export const settingNames = [
  'temperature',
  'top-k',
  'top-p',
  'min-p',
  'repeat-penalty',
  'presence-penalty',
  'frequency-penalty',
  'seed',
  'max-tokens',
  'stop',
  'on-overflow',
  'show-stats',
  'show-cpu-usage',
  'show-temp',
] as const satisfies readonly OptionName[];
export type SettingName = (typeof settingNames)[number];

/** The options that apply to the next reply. */
export type Settings = Readonly<Pick<OptionValues, SettingName>>;

/** The settings among all options. */
export function settingsOf(values: OptionValues): Settings {
  return Object.fromEntries(settingNames.map((name) => [name, values[name]])) as unknown as Settings;
}

/** What the table says of a setting. */
export function settingRow(name: SettingName): OptionRow {
  return rows.get(name)!;
}

const rows = new Map<OptionName, OptionRow>(allOptions());

/** The setting that a word means: flag, alias or config key; throws with close matches otherwise. */
export function settingNamed(word: string): SettingName {
  const wanted = word.toLowerCase();
  const found = settingNames.find((name) => {
    const { key, alias = [] } = settingRow(name);
    return [name, key, ...alias].includes(wanted);
  });
  if (found) return found;
  const near = closeMatches(wanted, settingNames);
  throw new UsageError(
    `There is no setting ${JSON.stringify(word)}`,
    near.length > 0 ? `did you mean ${near.join(' or ')}?` : `settings are ${settingNames.join(', ')}`,
  );
}

/** One setting changed; `default` brings the table's value back. Throws as the command line does. */
export function withSetting(settings: Settings, name: SettingName, text: string): Settings {
  const row = settingRow(name);
  const value = text === 'default' ? row.default : check(name, row, text);
  return { ...settings, [name]: value };
}

/** A setting's value as a person would type it; `default` where there is none. */
export function settingText(settings: Settings, name: SettingName): string {
  const value = settings[name];
  if (value === undefined) return 'default';
  return Array.isArray(value) ? value.map((each) => JSON.stringify(each)).join(' ') : String(value);
}

/** The settings as the engine takes them. */
export function replyOptions(settings: Settings): GenerateOptions {
  return {
    temperature: settings.temperature,
    topK: settings['top-k'],
    topP: settings['top-p'],
    minP: settings['min-p'],
    repeatPenalty: settings['repeat-penalty'],
    presencePenalty: settings['presence-penalty'],
    frequencyPenalty: settings['frequency-penalty'],
    seed: settings.seed,
    maxTokens: settings['max-tokens'],
    stop: settings.stop,
    onOverflow: settings['on-overflow'],
  };
}

/** The settings as to what is printed after a reply. */
export function telemetryOf(settings: Settings): Telemetry {
  return {
    stats: settings['show-stats'],
    cpu: settings['show-cpu-usage'],
    temperature: settings['show-temp'],
  };
}
