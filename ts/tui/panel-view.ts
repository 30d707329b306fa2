/** How help and settings look. Help is made from the table of keys and the table of slash commands. */
import { helpLines as slashHelp } from '../chat/slash/table.js';
import { settingRow } from '../chat/settings.js';
import { sanitise } from '../sanitise.js';
import { cut, fit, span, type Line, type Style } from './cells.js';
import { keyTable, ownCommands, type KeyRow } from './keys.js';
import { settingRows, settingValue } from './panels.js';
import type { State } from './state.js';
import { hardWrap, wrap } from './wrap.js';

const groups: readonly KeyRow['group'][] = ['Message', 'Reply', 'Transcript', 'Program'];
const keyWidth = 34;
const head: Style = { role: 'heading', bold: true };

/** All rows of the help screen at this width. */
export function helpLines(columns: number): Line[] {
  const keyColumn = Math.min(keyWidth, Math.floor(columns / 2));
  const entry = (left: string, right: string): Line[] => {
    const text = wrap([span(right, { role: 'text' })], Math.max(1, columns - keyColumn - 2));
    return text.map((line, row) => [
      ...fit([span(row === 0 ? ` ${left}` : '', { role: 'accent' })], keyColumn),
      span(' '),
      ...line,
    ]);
  };
  const keys = groups.flatMap((group): Line[] => [
    [span(group, head)],
    ...keyTable
      .filter((row) => row.group === group)
      .flatMap((row) => entry([...row.keys, ...(row.slash ? [row.slash] : [])].join(', '), row.help)),
    [],
  ]);
  const typed = [...ownCommands.map(([name, help]) => `${name}  ${help}`), ...slashHelp()];
  const commands = typed.flatMap((text) => wrap([span(` ${text}`, { role: 'text' })], columns));
  return [
    [span('Keys and commands', head), span('   Up, Down: scroll   Esc: close', { role: 'muted' })],
    [],
    ...keys,
    [span('Commands', head)],
    ...commands,
    [],
    [span(' // at the start of a message sends a slash', { role: 'muted' })],
  ];
}

/** The settings, the chosen row in view. */
export function settingsLines(state: State, height: number): Line[] {
  const { panel, columns } = state;
  if (panel?.kind !== 'settings') return [];
  const lines: Line[] = [
    [span('Settings', head), span('   Enter: change   Esc: close', { role: 'muted' })],
    [],
  ];
  let chosenAt = 0;
  for (const [at, row] of settingRows.entries()) {
    const chosen = at === panel.chosen;
    if (chosen) chosenAt = lines.length;
    const style: Style = chosen ? { role: 'text', ground: 'chosen' } : { role: 'text' };
    const name = span(`${chosen ? '›' : ' '} ${row === 'system' ? 'system prompt' : row}`.padEnd(22), style);
    if (chosen && panel.value) {
      const { text, at: cursor } = panel.value;
      const typed: Line = [
        span(sanitise(text.slice(0, cursor)), style),
        span(sanitise(text.slice(cursor, cursor + 1)) || ' ', { ...style, inverse: true }),
        span(sanitise(text.slice(cursor + 1)), style),
      ];
      const rows = hardWrap(typed, Math.max(1, columns - 22));
      rows
        .slice(-3)
        .forEach((line, n) => lines.push([n === 0 ? name : span(' '.repeat(22), style), ...line]));
    } else {
      const value = sanitise(settingValue(state, row)).replace(/\n/g, ' ') || "the model's own";
      lines.push(fit([name, span(value, style)], columns, style));
    }
    if (!chosen) continue;
    const help = row === 'system' ? 'who the assistant is' : settingRow(row).help;
    lines.push(cut([span(`    ${help}`, { role: 'muted' })], columns));
    if (panel.problem)
      lines.push(...wrap([span(`    ${sanitise(panel.problem)}`, { role: 'error' })], columns));
  }
  const first = Math.max(0, Math.min(chosenAt - Math.floor(height / 2), lines.length - height));
  return lines.slice(first);
}
