// npm run fetch: the default model into the build root, as the program itself does it.
import { ensureBuilt, fail } from './steps.mjs';

/** Fetches and returns the build root. */
export async function fetchDefaultModel() {
  const { buildRoot } = await import('../dist/store/build-root.js');
  const { defaultModel, findCard } = await import('../dist/store/cards.js');
  const { ensureFile } = await import('../dist/store/fetch.js');
  const { progressOn } = await import('../dist/store/progress.js');
  const { createLog } = await import('../dist/logging.js');
  const { env, stderr } = process;
  const root = buildRoot(undefined, env);
  const context = { root, env, log: createLog(stderr, 'INFO'), offline: false, progress: progressOn(stderr) };
  const card = findCard(defaultModel);
  await ensureFile(card.weights, card.name, context).catch((error) => {
    fail(`${error.message} [${error.code}]${error.hint ? `\nhint: ${error.hint}` : ''}`);
  });
  return root;
}

if (process.argv[1] === (await import('node:url')).fileURLToPath(import.meta.url)) {
  ensureBuilt();
  await fetchDefaultModel();
}
