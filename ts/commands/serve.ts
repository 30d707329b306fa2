/** `axllm serve [MODEL…]`: the HTTP server. */
import { once } from 'node:events';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { replyOptions, settingsOf } from '../chat/settings.js';
import { logFor, settings, type Context } from '../context.js';
import type { Model } from '../model.js';
import { openOnAll, requestOf } from '../open.js';
import type { OptionValues } from '../options.js';
import type { Resolved } from '../resolve.js';
import type { ServedModel } from '../server/served.js';
import { defaultModel, findCard, type Card } from '../store/cards.js';
import { write, writeJson, type Log } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

interface Words {
  models?: string[];
}

export const serveCommand = (context: Context): CommandModule<object, Words> => ({
  command: 'serve [models..]',
  describe: 'Serve models over HTTP, in the words of OpenAI and Ollama',
  builder: (yargs) =>
    yargs
      .positional('models', { type: 'string', array: true, describe: 'each as --model' })
      .options(yargsOptions('serve'))
      .example('$0 serve', 'the default model on http://127.0.0.1:7860/v1')
      .example('$0 serve MODEL --host 0.0.0.0', 'for others too: makes a key and prints it once'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<Words>, context: Context): Promise<void> {
  const { startServer } = await import('../server/start.js');
  const { isLoopback } = await import('../server/address.js');
  const { randomSecret } = await import('../server/access.js');
  const { limitsOf } = await import('../server/limits.js');
  const { values } = await settings(context, 'serve', argv);
  const log = logFor(context, values);
  const wanted = (argv.models ?? []).map(String);
  const names = wanted.length > 0 ? wanted : [values.model ?? defaultModel];
  const limits = limitsOf(values);
  context.graceMs = limits['drain-timeout'] * 1000 + 1500;

  const opened: Model[] = [];
  const models: ServedModel[] = [];
  const cards = names.map((name) => findCard(name, placesOf(context, values, log)));
  for (const card of cards) models.push(await serve(card, { argv, context, log, opened }));
  const madeKey = values['api-key'] === undefined && !isLoopback(values.host) ? randomSecret() : undefined;
  const server = await startServer({
    models,
    host: values.host,
    port: values.port,
    key: values['api-key'] ?? madeKey,
    hosts: values['allow-host'] ?? [],
    origins: values['allow-origin'] ?? [],
    limits,
    log,
  });
  try {
    // never through the log, which may be kept
    if (madeKey !== undefined) await write(context.stderr, `API key (shown once): ${madeKey}\n`);
    await server.ready;
    log.info(`Listening on ${server.url}`);
    if (values.json) {
      const line = {
        url: server.url,
        models: models.map(({ id }) => id),
        ...(madeKey ? { key: madeKey } : {}),
      };
      await writeJson(context.stdout, line);
    }
    if (!context.signal.aborted) await once(context.signal, 'abort');
    log.info('Ending: replies under way may finish');
  } finally {
    await server.close();
    for (const model of opened) model.dispose();
  }
  // the status is the signal's, however orderly the end was
  context.signal.throwIfAborted();
}

interface Making {
  argv: ArgumentsCamelCase<Words>;
  context: Context;
  log: Log;
  /** What is to be disposed in the end. */
  opened: Model[];
}

/** A model that begins to load now. */
async function serve(card: Card, { argv, context, log, opened }: Making): Promise<ServedModel> {
  const { values, sources } = await settings(context, 'serve', argv, card.options);
  const files = filesOf(context, values, log);
  const models = openOnAll({ ...requestOf(card, values), temperature: true }, files).then((all) => {
    opened.push(...all);
    for (const note of new Set(all.flatMap(({ info }) => info.notes))) log.info(note);
    return all;
  });
  return { id: card.name, description: card.description, models, ...repliesOf(values, sources) };
}

/** What a request does not say; a conversation that is too long is refused unless somebody asked for less. */
function repliesOf(values: OptionValues, sources: Resolved['sources']): Partial<ServedModel> {
  const { onOverflow, ...defaults } = replyOptions(settingsOf(values));
  const asked = sources['on-overflow'] !== 'default' && onOverflow !== undefined;
  return {
    defaults: { ...defaults, ...(asked ? { onOverflow } : {}) },
    systemPrompt: values['system-prompt'],
  };
}
