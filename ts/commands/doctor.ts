/** `axllm doctor`: is everything there that a run needs, and if not, what mends it. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { parseSelector, type DeviceChoice } from '../devices.js';
import { memoryLink, versionLink } from '../doctor/fit.js';
import { runtimeLinks, systemLinks, tried, unreached } from '../doctor/links.js';
import type { Link, LinkName } from '../doctor/links.js';
import { AlreadyReported } from '../errors.js';
import { systemChain } from '../native.js';
import { openModel, requestOf } from '../open.js';
import type { OptionValues } from '../options.js';
import { defaultModel, findCard, type Card } from '../store/cards.js';
import { oneLine, paint, wantsColour, write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const doctorCommand = (context: Context): CommandModule => ({
  command: 'doctor',
  aliases: ['validate'],
  describe: 'Check every link between this machine and a reply',
  builder: (yargs) =>
    yargs
      .options(yargsOptions('doctor'))
      .example('$0 doctor', 'the card, or without one the CPU')
      .example('$0 doctor -d sim --json', 'the simulated card, for programs'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase, context: Context): Promise<void> {
  const { env, stdout } = context;
  const first = await settings(context, 'doctor', argv);
  const card = findCard(first.values.model ?? defaultModel, placesOf(context, first.values));
  const { values } = await settings(context, 'doctor', argv, card.options);
  const root = env.AXLLM_SYSTEM_ROOT || '/';
  const choice = parseSelector(values.devices, env);
  const attempt = (changes: Partial<OptionValues>) => token(card, { ...values, ...changes }, context);
  const links = await examine(card, values, choice, root, attempt);
  const healthy = links.every(({ status }) => status !== 'failed');
  if (values.json) await writeJson(stdout, { healthy, links }, 2);
  else await write(stdout, report(links, wantsColour(stdout, env, values.color)));
  if (!healthy) throw new AlreadyReported('a link is broken');
}

/** The chain as far as it concerns this machine and these options. */
async function examine(
  card: Card,
  values: OptionValues,
  choice: DeviceChoice,
  root: string,
  attempt: (changes: Partial<OptionValues>) => Promise<string>,
): Promise<Link[]> {
  const elsewhere = 'run axllm with -v to see more';
  const onCpu = () =>
    tried('token on the CPU', () => attempt({ pipeline: 'transformers', devices: undefined }), elsewhere);
  if (values.pipeline === 'transformers') return [await onCpu()];
  const chain = await systemChain(root);
  const insisted = values.pipeline === 'transformers-aipu' || choice.device !== undefined;
  if (chain.pci.length === 0 && !insisted && !choice.simulated) {
    const onSim = await tried(
      'token on the simulated card',
      () => attempt({ pipeline: 'transformers-aipu', devices: 'sim' }),
      elsewhere,
    );
    const absent: Link = {
      link: 'pci card',
      status: 'skipped',
      seen: 'there is no Metis card in this machine: replies come from the CPU',
    };
    return [absent, await onCpu(), onSim];
  }
  const system = choice.simulated
    ? unreached(['pci card', 'kernel module', 'device node', 'permission'], 'the simulated card has none')
    : systemLinks(chain, root);
  const { links: ofRuntime, device, path: runtime } = await runtimeLinks(choice);
  const found = [...system, ...ofRuntime];
  const around = {
    chain: choice.simulated ? { pci: [], nodes: [] } : chain,
    runtime,
    builds: card.precompiled?.builds ?? [],
  };
  if (device) found.push(versionLink(device, around));
  else found.push(...unreached(['versions', 'memory'], 'needs a device'));
  if (device) found.push(memoryLink(device, card.requiredMemoryGb, card.name));
  const last: LinkName = choice.simulated ? 'token on the simulated card' : 'token on the AIPU';
  const broken = found.find(({ status }) => status === 'failed');
  if (broken) return [...found, ...unreached([last], `needs the ${broken.link}`)];
  return [...found, await tried(last, () => attempt({ pipeline: 'transformers-aipu' }), elsewhere)];
}

/** One token, by the way that every run takes. */
async function token(card: Card, values: OptionValues, context: Context): Promise<string> {
  const { signal } = context;
  const log = logFor(context, { ...values, quiet: (values.quiet ?? 0) + 1 });
  const model = await openModel(requestOf(card, values), filesOf(context, values, log));
  try {
    const reply = model.generate('Hi', { maxTokens: 1, signal });
    await reply.text();
    const { promptMs } = await reply.result;
    return `${card.name} on ${model.info.device}, prompt pass in ${promptMs.toFixed(0)} ms`;
  } finally {
    model.dispose();
  }
}

const marks = { ok: ['ok', 'green'], failed: ['FAILED', 'red'], skipped: ['-', 'yellow'] } as const;

function report(links: readonly Link[], colour: boolean): string {
  const width = Math.max(...links.map(({ link }) => link.length));
  const lines = links.flatMap(({ link, status, seen, remedy }) => {
    const [word, paintIn] = marks[status];
    const line = `${paint(word.padEnd(6), paintIn, colour)}  ${link.padEnd(width)}  ${oneLine(seen)}`;
    return remedy === undefined ? [line] : [line, `${' '.repeat(width + 10)}-> ${oneLine(remedy)}`];
  });
  const broken = links.find(({ status }) => status === 'failed');
  const verdict = broken ? `The first broken link: ${broken.link}.` : 'Everything that a run needs is there.';
  return `${lines.join('\n')}\n\n${verdict}\n`;
}
