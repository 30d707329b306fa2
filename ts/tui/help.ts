/** The help screen, made from the table of keys and the table of slash commands. */
import { helpRows } from '../chat/slash/table.js';
import { meterLegend } from './bars.js';
import { fit, span, type Line, type Style } from './cells.js';
import { keyTable, ownCommands, type KeyRow } from './keys.js';
import { wrap } from './wrap.js';

const groups: readonly KeyRow['group'][] = ['Message', 'Reply', 'Transcript', 'Program'];
const keyWidth = 36;
const head: Style = { role: 'heading', bold: true };

/** All rows of the help screen at this width. */
export function helpLines(columns: number): Line[] {
  const keyColumn = Math.min(keyWidth, Math.floor(columns / 2));
  const entry = (left: string, right: string): Line[] => {
    const keys = wrap([span(left, { role: 'accent' })], Math.max(1, keyColumn - 3));
    const text = wrap([span(right, { role: 'text' })], Math.max(1, columns - keyColumn - 2));
    return Array.from({ length: Math.max(keys.length, text.length) }, (_, row) => [
      ...fit([span('   '), ...(keys[row] ?? [])], keyColumn),
      span(' '),
      ...(text[row] ?? []),
    ]);
  };
  const keys = groups.flatMap((group): Line[] => [
    [span(` ${group}`, head)],
    ...keyTable
      .filter((row) => row.group === group)
      .flatMap((row) => entry([...row.keys, ...(row.slash ? [row.slash] : [])].join(', '), row.help)),
    [],
  ]);
  const legend = wrap([...meterLegend(), span('· free', { role: 'muted' })], Math.max(1, columns - 3));
  const commands = [...ownCommands, ...helpRows()].flatMap(([usage, help]) => entry(usage, help));
  return [
    [span(' Keys and commands', head), span('   Up, Down: scroll', { role: 'muted' })],
    [],
    ...keys,
    [span(' The meter of the context', head)],
    ...legend.map((line) => [span('   '), ...line]),
    [],
    [span(' Commands', head)],
    ...commands,
    ...entry('//', 'at the start of a message sends a slash'),
  ];
}
