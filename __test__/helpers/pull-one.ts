/**
 * A process that pulls the model of a card into the build root that stdin names, to be disturbed in it. All its calls to
 * the disk come from one thread, whose number goes to stdout before.
 */
import { readlink } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { asAxllmError } from '../../ts/errors.js';
import { reportError } from '../../ts/report.js';
import { pull } from './pull.js';

// whoever follows this link is the thread that it names
process.stdout.write(`${(await readlink('/proc/thread-self')).split('/').at(-1)}\n`);
try {
  for await (const root of createInterface({ input: process.stdin })) await pull(process.argv[2] ?? '', root);
  process.exit(0);
} catch (error) {
  await reportError(process.stderr, asAxllmError(error));
  process.exit(1);
}
