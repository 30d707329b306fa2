/** What the commands that deal with models take from the options: where cards are, and where files go. */
import type { Context } from '../context.js';
import type { OptionValues } from '../options.js';
import { buildRoot } from '../store/build-root.js';
import type { CardPlaces } from '../store/cards.js';
import type { FetchContext } from '../store/fetch.js';
import { progressOn, type StartProgress } from '../store/progress.js';
import type { Log } from '../terminal.js';

/** Where cards are looked for; what is odd about one goes to `log`. */
export function placesOf({ env }: Context, values: Pick<OptionValues, 'models-dir'>, log?: Log): CardPlaces {
  return { env, modelsDir: values['models-dir'], warn: log?.warning };
}

type FileValues = Pick<OptionValues, 'build-root'> & Partial<Pick<OptionValues, 'offline'>>;

/** How files are fetched, with progress on stderr unless it is shown elsewhere. */
export function filesOf(
  { env, signal, stderr }: Context,
  values: FileValues,
  log: Log,
  progress: StartProgress = progressOn(stderr),
): FetchContext {
  const root = buildRoot(values['build-root'], env);
  return { root, env, log, offline: values.offline ?? false, signal, progress };
}
