// Draws docs/images/rich-cli.svg from a real run: the full-screen chat with the default model in a pseudo-terminal.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';
import { root } from './freshness.mjs';

const [columns, rows] = [96, 24];
const [cell, line, margin] = [8.4, 18, 12];
const question = process.argv[2] ?? 'Write a short Python example that reads a file.';

const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
const env = { ...process.env, TERM: 'xterm-256color', COLORTERM: 'truecolor' };
const cli = [join(root, 'dist', 'cli.js'), '--rich-cli', '--no-save', '--max-tokens', '300'];
const chat = pty.spawn(process.execPath, cli, { cols: columns, rows, env });
chat.onData((bytes) => emulator.write(bytes));
const text = () =>
  Array.from(
    { length: rows },
    (_, row) => emulator.buffer.active.getLine(row)?.translateToString(true) ?? '',
  ).join('\n');

async function see(wanted) {
  for (let n = 0; n < 1200 && !wanted.test(text()); n += 1) await sleep(50);
  if (!wanted.test(text())) throw new Error(`the screen never showed ${wanted}:\n${text()}`);
}

/** The terminal's palette: 16 usual colours, a cube of 216, 24 greys. */
function colour(index) {
  const usual =
    '000000 cd3131 0dbc79 e5e510 2472c8 bc3fbc 11a8cd e5e5e5 666666 f14c4c 23d18b f5f543 3b8eea d670d6 29b8db ffffff';
  if (index < 16) return `#${usual.split(' ')[index]}`;
  if (index >= 232) return `rgb(${Array.from({ length: 3 }, () => 8 + 10 * (index - 232)).join(',')})`;
  const steps = [0, 95, 135, 175, 215, 255];
  const n = index - 16;
  return `rgb(${steps[Math.floor(n / 36)]},${steps[Math.floor(n / 6) % 6]},${steps[n % 6]})`;
}

const escaped = (value) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function svg() {
  const parts = [];
  for (let row = 0; row < rows; row += 1) {
    const cells = emulator.buffer.active.getLine(row);
    for (let column = 0; column < columns; column += 1) {
      const at = cells.getCell(column);
      const width = at.getWidth();
      const [x, y] = [margin + column * cell, margin + row * line];
      if (at.isBgPalette()) {
        const size = `width="${(width * cell + 0.5).toFixed(1)}" height="${line}"`;
        parts.push(`<rect x="${x.toFixed(1)}" y="${y}" ${size} fill="${colour(at.getBgColor())}"/>`);
      }
      const shown = at.getChars();
      if (width === 0 || shown.trim() === '') continue;
      const look = [
        `fill="${at.isFgPalette() ? colour(at.getFgColor()) : '#d0d0d0'}"`,
        ...(at.isBold() ? ['font-weight="bold"'] : []),
        ...(at.isItalic() ? ['font-style="italic"'] : []),
        ...(at.isUnderline() ? ['text-decoration="underline"'] : []),
      ].join(' ');
      parts.push(`<text x="${x.toFixed(1)}" y="${y + 13}" ${look}>${escaped(shown)}</text>`);
    }
  }
  const [width, height] = [Math.ceil(columns * cell + 2 * margin), rows * line + 2 * margin];
  const frame = `<rect width="${width}" height="${height}" rx="8" fill="#1a1b1e"/>`;
  const font = `font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="14"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${font}>\n${[frame, ...parts].join('\n')}\n</svg>\n`;
}

await see(/Ask something/);
chat.write(`${question}\r`);
await see(/Tokens: [1-9]/);
await see(/^(?![^]*Esc stops)[^]*Tokens: [1-9]/);
// the meter counts the new turn a moment later
await sleep(1000);
const image = svg();
chat.write('/bye\r');
mkdirSync(join(root, 'docs', 'images'), { recursive: true });
writeFileSync(join(root, 'docs', 'images', 'rich-cli.svg'), image);
await sleep(500);
process.exit(0);
