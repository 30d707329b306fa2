import type { AxllmError } from './errors.js';
import { oneLine, write } from './terminal.js';

/** One `ERROR: …` line with the stable code, and a `hint: …` line when there is a remedy. */
export async function reportError(stream: NodeJS.WritableStream, error: AxllmError): Promise<void> {
  const hint = error.hint ? `hint: ${oneLine(error.hint)}\n` : '';
  await write(stream, `ERROR: ${oneLine(error.message)} [${error.code}]\n${hint}`).catch(() => undefined);
}

/** An error as programs read it. */
export function errorObject({ code, message, hint }: AxllmError): { error: object } {
  return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}
