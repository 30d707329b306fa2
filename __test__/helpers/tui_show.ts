/** Shows the golden states on the real screen, one after the other: any key shows the next, the last one leaves. */
import { Screen } from '../../ts/tui/screen.js';
import { view } from '../../ts/tui/view.js';
import { scenarios } from './tui_states.js';

const names = Object.keys(scenarios);
const { stdin, stdout } = process;
let at = 0;
const screen = new Screen({
  stdin,
  stdout,
  env: process.env,
  theme: 'dark',
  onInput: () => {
    at += 1;
    if (at < names.length) show();
    else process.exit(0);
  },
  onResize: () => undefined,
  onStale: () => undefined,
});
const show = () => {
  const { columns, rows } = screen.size;
  screen.draw(view(scenarios[names[at]!]!(columns, rows)));
  // after the frame, so that whoever reads knows that it is whole
  screen.write(`\u001b]0;shown ${at}\u0007`);
};
show();
