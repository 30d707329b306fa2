/** How much memory a long reply leaves behind, by its own length: run with --expose-gc, prints one number. */
import { newConversation, withTurn } from '../../ts/chat/conversation.js';
import type { State } from '../../ts/tui/state.js';
import { view } from '../../ts/tui/view.js';
import { asked, opened, play, result } from './tui_states.js';

const part = `Some **bold** words, \`code\` and a [link](https://example.org) in a sentence as long as those that
models write, and a second one that makes a paragraph of it.

- a first point of seven or eight words
- a second one of about as many

`;

function heap(): number {
  for (let n = 0; n < 4; n += 1) globalThis.gc!();
  return process.memoryUsage().heapUsed;
}

/** A reply of `times` parts as it comes, seen every ten chunks and at its end. */
function answered(times: number): State {
  let state = play(opened(120, 40), ...asked('go'));
  for (let n = 0; n < times; n += 1) {
    state = play(state, { kind: 'chunk', text: part, tokens: 60, now: 2000 + n });
    if (n % 10 === 0) view(state);
  }
  const conversation = withTurn(newConversation(), 'go', state.pending!.text);
  state = play(state, { kind: 'ended', conversation, result });
  view(state);
  return state;
}

// what is compiled and kept whatever the length is there after two short ones
let kept = answered(300);
kept = answered(300);
const before = heap();
const short = kept;
kept = answered(4000);
const grown = heap() - before;
process.stdout.write(`${(grown / (part.length * 4000)).toFixed(2)}\n`);
view(short);
view(kept);
