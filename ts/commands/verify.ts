/** `axllm verify [MODEL]`: reads every downloaded file through and compares it with its checksum. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { AlreadyReported, AxllmError } from '../errors.js';
import { findCard, publicNames } from '../store/cards.js';
import { fetchedRepositories } from '../store/hub.js';
import { inventory, type Artifact } from '../store/inventory.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const verifyCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'verify [model]',
  describe: 'Check all downloaded files against their checksums',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: 'only this one' })
      .options(yargsOptions('verify'))
      .example('$0 verify', 'everything in the build root'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { values } = await settings(context, 'verify', argv);
  const log = logFor(context, values);
  const places = placesOf(context, values, log);
  const files = filesOf(context, values, log);
  const names = argv.model === undefined ? publicNames(places) : [argv.model];
  if (argv.model === undefined) names.push(...(await fetchedRepositories(files.root)));
  const results: (Artifact & { model: string })[] = [];
  for (const model of names) {
    const artifacts = await inventory(findCard(model, places), files, 'hash');
    // what was made here from the files has no checksum of its own
    const here = artifacts.filter(
      ({ state, own, kind }) => state !== 'absent' && !own && kind !== 'compiled' && kind !== 'packed',
    );
    for (const each of here) {
      context.signal.throwIfAborted();
      results.push({ ...each, model });
    }
  }
  if (argv.model !== undefined && results.length === 0) throw notDownloaded(argv.model);
  const bad = results.filter(({ state }) => state === 'damaged');
  const objects = results.map(({ model, kind, path, state, bytes }) => ({ model, kind, path, state, bytes }));
  const lines = results.map(({ path, state }) => oneLine(`${state === 'verified' ? 'ok' : state}  ${path}`));
  if (values.json) await writeJson(context.stdout, objects, 2);
  else await write(context.stdout, `${lines.join('\n') || 'nothing is downloaded'}\n`);
  for (const { model, path, state } of results) {
    if (state !== 'unchecked') continue;
    log.warning(
      `${path} was unpacked by another program and has no checksums; axllm rm ${model} and axllm pull ${model} fetch what can be checked`,
    );
  }
  if (bad.length === 0) return;
  for (const { model, path } of bad) log.warning(`${path} is damaged; axllm pull ${model} fetches it again`);
  throw new AlreadyReported('a file is damaged');
}

/** The error for a model of which there is nothing here. */
export function notDownloaded(model: string): AxllmError {
  return new AxllmError('not_downloaded', `Nothing of ${model} is in the build root`, {
    hint: `axllm pull ${model} fetches it`,
  });
}
