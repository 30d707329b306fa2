/** What a terminal makes of a state's frame: a screen whose cells can be asked. */
import xterm from '@xterm/headless';
import { encode } from '../../ts/tui/encode.js';
import type { State } from '../../ts/tui/state.js';
import type { ThemeName } from '../../ts/tui/theme.js';
import { view } from '../../ts/tui/view.js';

export async function shown(state: State, theme: ThemeName = 'dark', links = true) {
  const { columns, rows } = state;
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  let title = '';
  terminal.onTitleChange((text) => (title = text));
  const bytes = view(state).lines.map(
    (line, row) => `\u001b[${row + 1};1H${encode(line, columns, { theme, links })}`,
  );
  await new Promise<void>((done) => terminal.write(`\u001b[?7l${bytes.join('')}`, done));
  const { active } = terminal.buffer;
  const lines = Array.from({ length: rows }, (_, row) => active.getLine(row)!.translateToString(true));
  return {
    lines,
    title,
    bytes: bytes.join(''),
    cell: (row: number, column: number) => active.getLine(row)!.getCell(column)!,
    /** The cell where `text` begins. */
    at(text: string) {
      const row = lines.findIndex((line) => line.includes(text));
      if (row < 0) throw new Error(`${text} is not shown:\n${lines.join('\n')}`);
      return active.getLine(row)!.getCell(lines[row]!.indexOf(text))!;
    },
  };
}
