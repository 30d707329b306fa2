import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { textOf, widthOf } from '../ts/tui/cells.js';
import { view } from '../ts/tui/view.js';
import { scenarios, sizes } from './helpers/tui_states.js';
import { inTmux } from './helpers/tmux.js';
import { helper, inTerminal } from './helpers/tui_terminal.js';

// not every terminal joins a family of three; what comes after it must stand in its place all the same
const cells = (text: string) => text.replace(/👩\u200d👩\u200d(👧)?/gu, '<>');

const folder = fileURLToPath(new URL('golden/', import.meta.url));
const fileOf = (name: string, columns: number, rows: number) => `${folder}${name}-${columns}x${rows}.txt`;
const golden = (name: string, columns: number, rows: number) => {
  const file = fileOf(name, columns, rows);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

for (const [columns, rows] of sizes) {
  for (const [name, make] of Object.entries(scenarios)) {
    test(`${name} at ${columns}x${rows} is the golden screen`, (t) => {
      const { lines } = view(make(columns, rows));
      const shown = `${lines.map((line) => textOf(line).trimEnd()).join('\n')}\n`;
      t.is(lines.length, rows);
      for (const line of lines) t.true(widthOf(textOf(line)) <= columns);
      if (process.env.AXLLM_WRITE_GOLDEN) {
        mkdirSync(folder, { recursive: true });
        writeFileSync(fileOf(name, columns, rows), shown);
      }
      t.is(shown, golden(name, columns, rows));
    });
  }

  test(`a real terminal of ${columns}x${rows} shows the golden screens`, async (t) => {
    const terminal = inTerminal(t, helper('tui_show.ts'), {
      columns,
      rows,
    });
    for (const [at, name] of Object.keys(scenarios).entries()) {
      await terminal.titled(`shown ${at}`);
      t.is(cells(terminal.lines().join('\n')).trimEnd(), cells(golden(name, columns, rows)).trimEnd(), name);
      terminal.press('x');
    }
    await terminal.ended();
    t.is(terminal.status(), 0);
  });

  test(`tmux, the second witness, shows the golden screens of ${columns}x${rows}`, async (t) => {
    const tmux = await inTmux(t, helper('tui_show.ts'), { columns, rows });
    for (const [at, name] of Object.keys(scenarios).entries()) {
      await tmux.titled(`shown ${at}`);
      t.is(cells(await tmux.screen()).trimEnd(), cells(golden(name, columns, rows)).trimEnd(), name);
      await tmux.press('x');
    }
  });
}
