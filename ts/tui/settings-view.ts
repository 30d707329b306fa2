/** How the settings look. */
import { settingRow } from '../chat/settings.js';
import { sanitise } from '../sanitise.js';
import { fit, span, type Line, type Style } from './cells.js';
import { settingRows, settingValue } from './panels.js';
import type { State } from './state.js';
import { hardWrap, wrap } from './wrap.js';

const head: Style = { role: 'heading', bold: true };

/** The settings, the chosen row in view. */
export function settingsLines(state: State, height: number): Line[] {
  const { panel, columns } = state;
  if (panel?.kind !== 'settings') return [];
  const lines: Line[] = [[span(' Settings', head), span('   Enter: change', { role: 'muted' })], []];
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
        .forEach((line, n) =>
          lines.push(fit([n === 0 ? name : span(' '.repeat(22), style), ...line], columns, style)),
        );
    } else {
      const value = sanitise(settingValue(state, row)).replace(/\n/g, ' ');
      const own = value === '' || value === 'default';
      const look: Style = own ? { ...style, role: 'muted' } : style;
      lines.push(fit([name, span(value || "the model's own", look)], columns, style));
    }
    if (!chosen) continue;
    const help = row === 'system' ? 'who the assistant is' : settingRow(row).help;
    for (const line of wrap([span(help, { role: 'muted' })], Math.max(1, columns - 4)))
      lines.push([span('    '), ...line]);
    if (panel.problem)
      lines.push(...wrap([span(`    ${sanitise(panel.problem)}`, { role: 'error' })], columns));
  }
  const first = Math.max(0, Math.min(chosenAt - Math.floor(height / 2), lines.length - height));
  return lines.slice(first);
}
