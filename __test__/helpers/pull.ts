/** What `axllm pull CARD` does, for those who disturb it. */
import { findCard } from '../../ts/store/cards.js';
import { compiledFilesOf } from '../../ts/store/model-files.js';
import { silentProgress } from '../../ts/store/progress.js';
import { silentLog } from '../../ts/terminal.js';

/** Brings the three files of a card into the build root `root`. */
export async function pull(path: string, root: string): Promise<void> {
  const card = findCard(path, { env: {} });
  const context = { root, env: {}, log: silentLog, offline: false, progress: silentProgress };
  await compiledFilesOf(card, card.precompiled!.builds[0]!, undefined, context);
}
