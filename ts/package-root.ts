import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of the installed package: this file sits one level below it, compiled or not. */
export const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/** The version in the package's own package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
