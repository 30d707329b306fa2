/** `state, message → state, effects`: pure, and the only place where the state changes. */
import { lastTurn, withSystem } from '../chat/conversation.js';
import { editorOf, insert, paste, type Editor } from './editor.js';
import { geometryOf } from './geometry.js';
import { act } from './actions.js';
import { begun, complained, follow, fronted, send } from './outcome.js';
import { actionOf } from './keys.js';
import { panelInput, panelKey, panelMoved } from './panels.js';
import { without, type Message, type Next, type Pending, type State } from './state.js';
import { scrolled } from './viewport.js';

/** Rows that one turn of the wheel moves. */
const wheelRows = 3;

export function update(state: State, message: Message): Next {
  const [next, effects] = dispatch(state, message);
  // the meter counts what is typed as well
  const measured = next.input !== state.input || next.chat?.conversation !== state.chat?.conversation;
  if (!measured || !next.chat || next.pending) return [next, effects];
  return [next, [...effects, { kind: 'measure', draft: next.input.text, chat: next.chat }]];
}

function dispatch(state: State, message: Message): Next {
  switch (message.kind) {
    case 'key':
      return pressed(state, message.key);
    case 'text':
      return [typed(state, (editor) => insert(editor, message.text)), []];
    case 'paste':
      return [typed(state, (editor) => (state.panel ? insert : paste)(editor, message.text)), []];
    case 'wheel':
      return [wheel(state, message.step), []];
    case 'resize':
      return [resized(state, message.columns, message.rows), []];
    case 'tick':
      return [ticked(state, message.now), []];
    case 'loading':
      return [{ ...state, loading: { ...message, since: state.loading.since } }, []];
    case 'opened':
      return opened({ ...state, chat: message.chat });
    case 'prompts':
      return [{ ...state, prompts: message.prompts }, []];
    case 'chunk':
      return [chunk(state, message), []];
    case 'ended':
    case 'failed':
      return finished(state, message);
    case 'performed':
      return performed(state, message);
    case 'edited':
      return [{ ...state, input: editorOf(message.text) }, []];
    case 'notice':
      return [noticed(state, message.text, message.error), []];
    case 'measured':
      return [{ ...state, context: message.use }, []];
    case 'telemetry':
      return [
        {
          ...state,
          cpuPercent: message.cpuPercent,
          temperature: message.temperature ?? state.temperature,
        },
        [],
      ];
    default:
      return message satisfies never;
  }
}

const noticed = (state: State, text: string, error: boolean): State => ({
  ...state,
  notice: { text, role: error ? 'error' : 'muted' },
});

function pressed(last: State, key: string): Next {
  const state = without(last, 'notice');
  if (state.panel) {
    const next = panelKey(state, key);
    if (next) return next;
  }
  const action = actionOf(key);
  if (action) return act(state, action, key);
  return [state, []];
}

function typed(last: State, edit: (editor: Editor) => Editor): State {
  const state = without(last, 'notice', 'armed', 'recalled');
  return state.panel ? panelInput(state, edit) : { ...state, input: edit(state.input) };
}

/** What a key says of being pressed again goes when that has no effect any more. */
function ticked(last: State, now: number): State {
  const state = { ...last, now };
  return last.armed && now > last.armed.until ? without(state, 'armed', 'notice') : state;
}

function wheel(state: State, step: 1 | -1): State {
  const { panel } = state;
  if (panel && panel.kind !== 'search') return panelMoved(state, panel, step * wheelRows);
  return follow(state, scrolled(state, geometryOf(state).transcript, step * wheelRows));
}

function resized(state: State, columns: number, rows: number): State {
  const next = { ...state, columns: Math.max(1, columns), rows: Math.max(1, rows) };
  // rows of the same item differ with the width: its first row is a place that exists
  return state.anchor && columns !== state.columns
    ? { ...next, anchor: { item: state.anchor.item, row: 0 } }
    : next;
}

function opened(state: State): Next {
  const { queued } = state;
  const ready = without(state, 'queued');
  return queued === undefined ? [ready, []] : send(ready, queued);
}

function chunk(state: State, { said, tokens, now }: Extract<Message, { kind: 'chunk' }>): State {
  const { pending } = state;
  if (!pending) return state;
  const grown = {
    ...pending,
    text: said,
    tokens: pending.tokens + tokens,
    firstAt: pending.firstAt ?? now,
  };
  return { ...state, now, pending: grown, unseen: state.anchor !== undefined };
}

function finished(state: State, message: Extract<Message, { kind: 'ended' | 'failed' }>): Next {
  const { pending, chat } = state;
  if (!chat) return [state, []];
  // the system prompt may have been changed while the reply ran
  const conversation = withSystem(message.conversation, chat.conversation.system);
  const rest = without(state, 'pending', 'replaces');
  if (message.kind === 'ended') {
    const { result } = message;
    const said =
      conversation.turns.length > chat.conversation.turns.length ? lastTurn(conversation) : undefined;
    const results = said ? new Map(state.results).set(said.id, result) : state.results;
    const keys = said && pending ? new Map(state.keys).set(said.id, pending.key) : state.keys;
    const { cpuPercent = state.cpuPercent, coreTemperature: temperature = state.temperature } = result;
    const next = { ...rest, results, keys, cpuPercent, temperature };
    const answered = { ...next, chat: { ...chat, conversation, lastResult: result } };
    return [said ? answered : unanswered(answered, pending), []];
  }
  const next = unanswered({ ...rest, chat: { ...chat, conversation } }, pending);
  const told = complained(next, message.error, pending?.text ? pending.text : undefined);
  return [{ ...told, unseen: told.anchor !== undefined }, []];
}

/** What was not answered goes back into the input, unless something else is being typed. */
const unanswered = (state: State, pending: Pending | undefined): State =>
  state.input.text === '' && pending ? { ...state, input: editorOf(pending.user) } : state;

function performed(state: State, { loaded, effects }: Extract<Message, { kind: 'performed' }>): Next {
  if (!state.chat) return [state, []];
  if (loaded === undefined) return fronted(state, effects);
  if (state.pending) return [noticed(state, 'a reply has begun meanwhile: /load again after it', true), []];
  const chat = { ...state.chat, conversation: loaded, lastResult: undefined };
  return fronted({ ...begun(state), chat }, effects);
}
