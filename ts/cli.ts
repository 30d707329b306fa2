#!/usr/bin/env node
/** The command line: yargs, signals, errors to exit status. The only place that exits. */
// oxlint-disable-next-line import/no-unassigned-import -- what it does has to come before yargs loads
import './working-folder.js';
import yargs, { type CommandModule } from 'yargs';
import { benchCommand } from './commands/bench.js';
import { compileCommand } from './commands/compile.js';
import { completionCommand, completionsFlag, printCompletions } from './commands/completion.js';
import { configCommand } from './commands/config.js';
import { devicesCommand } from './commands/devices.js';
import { doctorCommand } from './commands/doctor.js';
import { extractCommand } from './commands/extract.js';
import { listCommand } from './commands/list.js';
import { pullCommand } from './commands/pull.js';
import { rmCommand } from './commands/rm.js';
import { runCommand } from './commands/run.js';
import { serveCommand } from './commands/serve.js';
import { showCommand } from './commands/show.js';
import { verifyCommand } from './commands/verify.js';
import type { Context } from './context.js';
import { AlreadyReported, Stopped, UsageError, asAxllmError, type AxllmError } from './errors.js';
import { packageVersion } from './package-root.js';
import { errorObject, reportError } from './report.js';
import { normalise } from './resolve.js';
import { write, writeJson } from './terminal.js';

const stop = new AbortController();
const interruptHandlers: (() => void)[] = [];

const context: Context = {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stop.signal,
  // until the options are known, an error in them has to go somewhere
  jsonErrors: process.argv.includes('--json'),
  graceMs: 1500,
  onInterrupt(handler) {
    interruptHandlers.push(handler);
    return () => void interruptHandlers.splice(interruptHandlers.indexOf(handler), 1);
  },
};

function end(reason: Stopped): void {
  if (stop.signal.aborted) process.exit(reason.exitCode);
  stop.abort(reason);
  setTimeout(() => process.exit(reason.exitCode), context.graceMs).unref();
}

const others = [
  benchCommand(context),
  compileCommand(context),
  completionCommand(context),
  configCommand(context),
  devicesCommand(context),
  doctorCommand(context),
  extractCommand(context),
  listCommand(context),
  pullCommand(context),
  rmCommand(context),
  serveCommand(context),
  showCommand(context),
  verifyCommand(context),
] as CommandModule[];
const verbs = ['run', 'chat', ...others.map(({ command }) => String(command).split(' ', 1)[0]!)];

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === completionsFlag) return printCompletions(argv.slice(1), verbs, context);
  const { words, help } = askedForHelp(normalise(argv));
  const parser = yargs(words)
    .scriptName('axllm')
    .usage(
      '$0 [MODEL] [PROMPT] [options]\n\nRuns small language models on the Axelera Metis AIPU and on the CPU.',
    )
    .locale('en')
    .command(runCommand(context, verbs))
    .command(others)
    .parserConfiguration({
      'boolean-negation': true,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    // yargs' own would take a prompt that ends in "help" for the command of that name
    .help(false)
    .option('help', { alias: 'h', type: 'boolean', describe: 'Show help' })
    .version(packageVersion())
    .alias('version', 'V')
    .wrap(Math.min(80, Math.max(40, process.stdout.columns || 80)))
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw message ? new UsageError(message) : error;
    });
  if (help) return write(process.stdout, `${await parser.getHelp()}\n`);
  // the version: printed by yargs itself, a failure would not be noticed
  let printed = '';
  await parser.parseAsync(words, {}, (_error, _argv, output) => {
    printed = output;
  });
  await write(process.stdout, printed && `${printed}\n`);
}

/** `--help` and `-h` anywhere, `axllm help` and `axllm help COMMAND`. */
function askedForHelp(argv: readonly string[]): { words: string[]; help: boolean } {
  const options = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const words = argv.filter((word, at) => {
    const asks = at < options && (word === '--help' || word === '-h' || (word === 'help' && at === 0));
    return !asks;
  });
  return { words, help: words.length < argv.length };
}

/** The exit status for whatever ended `main`; prints the error unless the end was asked for. */
async function statusOf(error: unknown): Promise<number> {
  if (stop.signal.aborted && stop.signal.reason instanceof Stopped) return stop.signal.reason.exitCode;
  if (error instanceof Stopped) return error.exitCode;
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 0;
  if (error instanceof AlreadyReported) return 1;
  const known =
    (error as Error).name === 'YError' ? new UsageError((error as Error).message) : asAxllmError(error);
  await tell(known);
  return known instanceof UsageError ? 2 : 1;
}

/** Where stdout takes no JSON, the error is still told on stderr. */
async function tell(failure: AxllmError): Promise<void> {
  if (context.jsonErrors) {
    const lost = await writeJson(process.stdout, errorObject(failure)).catch((reason: unknown) => reason);
    if (lost === undefined) return;
  }
  await reportError(process.stderr, failure);
}

process.on('SIGINT', () => {
  const handler = interruptHandlers.at(-1);
  if (handler) handler();
  else end(new Stopped(130, 'interrupted'));
});
process.on('SIGTERM', () => end(new Stopped(143, 'terminated')));
process.on('SIGHUP', () => end(new Stopped(129, 'the terminal is gone')));
// each write reports its own failure; without a listener it would also be thrown
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

main(process.argv.slice(2)).then(
  () => process.exit(0),
  async (error: unknown) => process.exit(await statusOf(error)),
);
