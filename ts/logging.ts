/** Where talk goes: lines such as `INFO    : text` on stderr, and in a file when asked for. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { AxllmError } from './errors.js';
import type { OptionValues } from './options.js';
import { logLevels, oneLine, type Log, type LogLevel, type Output } from './terminal.js';

/** The options that a log follows. */
export type LogValues = Partial<
  Pick<OptionValues, 'verbose' | 'quiet' | 'loglevel' | 'logfile' | 'logtimestamp' | 'brief-logging'>
>;

/** A log on `stream`, and in `--logfile`, that drops what is below the level asked for. */
export function createLog(stream: Output, values: LogValues = {}): Log {
  const least = levelOf(values);
  let file = values.logfile === undefined ? undefined : openLog(values.logfile);
  const at = (level: LogLevel) => (text: string) => {
    if (logLevels.indexOf(level) < least) return;
    const line = format(level, text, values);
    stream.write(line);
    if (file === undefined) return;
    try {
      writeSync(file, line);
    } catch (error) {
      // a full disk is no reason to lose the reply
      file = undefined;
      const lost = `The log file is no longer written: ${(error as Error).message}`;
      stream.write(format('WARNING', lost, values));
    }
  };
  return { debug: at('DEBUG'), info: at('INFO'), warning: at('WARNING') };
}

/** Index of the least level printed: each `-v` takes one off, each `-q` adds one. */
function levelOf({ loglevel = 'INFO', verbose = 0, quiet = 0 }: LogValues): number {
  const at = logLevels.indexOf(loglevel) - verbose + quiet;
  return Math.max(0, Math.min(logLevels.length - 1, at));
}

function format(level: LogLevel, text: string, values: LogValues): string {
  const time = values.logtimestamp ? `${new Date().toISOString()} ` : '';
  const label = values['brief-logging'] ? '' : `${level.padEnd(8)}: `;
  return `${time}${label}${oneLine(text)}\n`;
}

function openLog(path: string): number {
  try {
    const file = openSync(path, 'a');
    process.once('exit', () => closeSync(file));
    return file;
  } catch (cause) {
    throw new AxllmError('bad_logfile', `The log file cannot be written: ${(cause as Error).message}`, {
      cause,
      hint: 'name a file in a folder that you may write to with --logfile',
    });
  }
}
