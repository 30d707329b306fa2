/** A link that a phone can read from the screen. */
import { encode, renderUnicodeCompact } from 'uqr';

/** For a terminal: half blocks, dark on light whatever its colours are. */
export function qrForTerminal(text: string, colour: boolean): string {
  const lines = renderUnicodeCompact(text, { ecc: 'L', border: 2 }).split('\n');
  return lines.map((line) => (colour ? `\u001b[30;107m${line}\u001b[0m` : line)).join('\n');
}

/** For the page: a line a row, of 0 and 1. */
export function qrRows(text: string): string {
  return encode(text, { ecc: 'M', border: 2 })
    .data.map((row) => row.map((dark) => (dark ? '1' : '0')).join(''))
    .join('\n');
}
