/** `axllm bench`: how fast is this model here. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { readBaseline, slower } from '../bench/compare.js';
import { measure, type Figure, type Measured } from '../bench/measure.js';
import { logFor, settings, type Context } from '../context.js';
import { AlreadyReported, UsageError } from '../errors.js';
import { openModel, requestOf } from '../open.js';
import { defaultModel, findCard } from '../store/cards.js';
import { sanitise } from '../sanitise.js';
import { write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const benchCommand = (context: Context): CommandModule<object, { name?: string }> => ({
  command: 'bench [name]',
  describe: 'Measure loading, the prompt pass and decoding',
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', describe: 'the model, as --model' })
      .options(yargsOptions('bench'))
      .example('$0 bench -p 512 -n 0', 'the prompt pass alone')
      .example('$0 bench --compare old.json', 'status 1 when it has become slower'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ name?: string }>, context: Context): Promise<void> {
  const { signal, stdout } = context;
  const first = await settings(context, 'bench', argv);
  const card = findCard(argv.name ?? first.values.model ?? defaultModel, placesOf(context, first.values));
  const { values } = await settings(context, 'bench', argv, card.options);
  if (values.csv && values.json) throw new UsageError('--csv and --json exclude each other');
  const log = logFor(context, values);
  const baseline = values.compare === undefined ? undefined : readBaseline(values.compare);
  const files = filesOf(context, values, log);
  const plan = {
    promptTokens: values['prompt-tokens'],
    genTokens: values['gen-tokens'],
    repetitions: values.repetitions,
    depth: values.depth,
  };
  const measured = await measure(() => openModel(requestOf(card, values), files), plan, signal);
  const flat = { model: card.name, device: measured.device, depth: plan.depth, ...flatten(measured) };
  if (values.json) await writeJson(stdout, flat, 2);
  else await write(stdout, sanitise(values.csv ? csv(flat) : table(measured)));
  const lost = baseline === undefined ? [] : slower(measured, baseline, values.threshold);
  for (const each of lost) log.warning(each);
  if (lost.length > 0) throw new AlreadyReported('slower than the baseline');
}

const figures = [
  ['load_ms', 'ms to load'],
  ['prefill_tokens_per_second', 'tokens/s prompt pass'],
  ['decode_tokens_per_second', 'tokens/s decoding'],
  ['host_cpu_us_per_token', 'us of host CPU a token'],
] as const;

/** Medians under the plain names, spreads beside them. */
function flatten(measured: Measured): Record<string, number | null> {
  const pairs = figures.flatMap(([name]): [string, number | null][] => [
    [name, measured[name]?.median ?? null],
    [`${name}_spread`, measured[name]?.spread ?? null],
  ]);
  const { prompt_tokens, peak_rss_bytes } = measured;
  return { prompt_tokens, ...Object.fromEntries(pairs), peak_rss_bytes };
}

function csv(flat: Record<string, string | number | null>): string {
  const cells = Object.values(flat).map((value) => (value === null ? '' : quote(String(value))));
  return `${Object.keys(flat).join(',')}\n${cells.join(',')}\n`;
}

function quote(cell: string): string {
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function table(measured: Measured): string {
  const lines = figures.flatMap(([name, unit]) => {
    const each: Figure | null = measured[name];
    return each === null
      ? []
      : [`${each.median.toFixed(1).padStart(10)} ±${each.spread.toFixed(1).padEnd(8)} ${unit}`];
  });
  const memory = `${(measured.peak_rss_bytes / 1e6).toFixed(1).padStart(10)} ${' '.repeat(9)} MB peak memory`;
  return `${measured.device}, prompt of ${measured.prompt_tokens} tokens\n${lines.join('\n')}\n${memory}\n`;
}
