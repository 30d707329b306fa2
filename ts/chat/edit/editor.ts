/** The line editor as a function: state and key to state and event. Knows no terminal. */
import {
  backspace,
  bufferOf,
  deleteNext,
  end,
  home,
  insert,
  killBlankLeft,
  killToEnd,
  killToStart,
  killWordLeft,
  killWordRight,
  left,
  right,
  vertical,
  wordLeft,
  wordRight,
  type Cut,
  type Draft,
} from './buffer.js';

/** A key as Node's `readline` reports it. */
export interface Key {
  readonly sequence?: string | undefined;
  readonly name?: string | undefined;
  readonly ctrl?: boolean;
  readonly meta?: boolean;
}

export interface EditorState {
  readonly draft: Draft;
  /** What Ctrl-Y brings back. */
  readonly killed: string;
  /** What was typed before, oldest first. */
  readonly past: readonly string[];
  /** The entry of `past` that is shown; `past.length`: the own draft. */
  readonly at: number;
  /** The own draft, while an entry of `past` is shown. */
  readonly own: string;
  /** What Ctrl-R looks for, and the draft that it began with. */
  readonly search?: { readonly query: string; readonly before: Draft } | undefined;
  /** The text of a bracketed paste that has not ended. */
  readonly paste?: string | undefined;
}

/** What the terminal side has to do. */
export type EditorEvent =
  | { readonly kind: 'submit'; readonly text: string }
  /** Ctrl-C with nothing typed. */
  | { readonly kind: 'interrupt' }
  /** Ctrl-D with nothing typed. */
  | { readonly kind: 'end' }
  | { readonly kind: 'clear-screen' | 'open-editor' | 'suspend' | 'complete' };

export type Pressed = readonly [EditorState, EditorEvent?];

export function editorState(past: readonly string[], text = ''): EditorState {
  return { draft: bufferOf(text), killed: '', past, at: past.length, own: text };
}

/** The text replaced, by an external editor or a completion. */
export function withText(state: EditorState, text: string): EditorState {
  return { ...state, draft: bufferOf(text) };
}

/** One key. A Return that is `pasted` (more follows at once) is a new line, as no person types that fast. */
export function press(state: EditorState, key: Key, pasted = false): Pressed {
  if (key.name === 'paste-start') return [{ ...state, paste: '' }];
  if (state.paste !== undefined) return [pasting(state, state.paste, key)];
  const name = keyName(key);
  if (pasted && name === 'return') return [typed(state, '\n')];
  if (state.search) return searching(state, state.search, key, name);
  const action = Object.hasOwn(keys, name) ? keys[name] : undefined;
  if (action) return action(state);
  const { sequence = '' } = key;
  if (key.ctrl || key.meta || !isText(sequence)) return [state];
  return [typed(state, sequence)];
}

/** The entry that Ctrl-R has found. */
export function found({ past, at }: EditorState): string | undefined {
  return past[at];
}

function keyName({ name = '', ctrl, meta }: Key): string {
  return `${ctrl ? 'C-' : ''}${meta ? 'M-' : ''}${name}`;
}

// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const control = /^[\u0000-\u001f\u007f-\u009f]/;
const isText = (sequence: string) => sequence !== '' && !control.test(sequence);

function pasting(state: EditorState, paste: string, key: Key): EditorState {
  if (key.name !== 'paste-end') return { ...state, paste: paste + (key.sequence ?? '') };
  return typed({ ...state, paste: undefined, search: undefined }, paste.replace(/\r\n?/g, '\n'));
}

const typed = (state: EditorState, text: string): EditorState => moved(state, insert(state.draft, text));
const moved = (state: EditorState, draft: Draft): EditorState => ({ ...state, draft });

const move =
  (go: (draft: Draft) => Draft) =>
  (state: EditorState): Pressed => [moved(state, go(state.draft))];

const remove =
  (take: (draft: Draft) => Cut) =>
  (state: EditorState): Pressed => [moved(state, take(state.draft)[0])];

const kill =
  (take: (draft: Draft) => Cut) =>
  (state: EditorState): Pressed => {
    const [draft, taken] = take(state.draft);
    return [{ ...state, draft, killed: taken || state.killed }];
  };

const tell =
  (kind: 'clear-screen' | 'open-editor' | 'suspend' | 'complete') =>
  (state: EditorState): Pressed => [state, { kind }];

const newline = (state: EditorState): Pressed => [typed(state, '\n')];

function recall(state: EditorState, by: -1 | 1): EditorState {
  const at = state.at + by;
  if (at < 0 || at > state.past.length) return state;
  const own = state.at === state.past.length ? state.draft.text : state.own;
  return { ...state, at, own, draft: bufferOf(state.past[at] ?? own) };
}

const upOrDown =
  (by: -1 | 1) =>
  (state: EditorState): Pressed => {
    const draft = vertical(state.draft, by);
    return [draft ? moved(state, draft) : recall(state, by)];
  };

/** What Return sends of `text`: nothing (`undefined`) while a block that `"""` has opened is not closed. */
export function sendable(text: string): string | undefined {
  const open = text.trimStart();
  if (!open.startsWith('"""')) return text;
  return /^"""\n?([^]*?)\n?"""\s*$/.exec(open)?.[1];
}

function submit(state: EditorState): Pressed {
  const text = sendable(state.draft.text);
  if (text !== undefined) return [state, { kind: 'submit', text }];
  return newline({ ...state, draft: bufferOf(state.draft.text) });
}

function interrupt(state: EditorState): Pressed {
  if (state.draft.text === '') return [state, { kind: 'interrupt' }];
  return [editorState(state.past)];
}

function endOrDelete(state: EditorState): Pressed {
  return state.draft.text === '' ? [state, { kind: 'end' }] : remove(deleteNext)(state);
}

const startSearch = (state: EditorState): Pressed => [
  { ...state, at: state.past.length, search: { query: '', before: state.draft } },
];

/** THE table of keys. */
const keys: Readonly<Record<string, (state: EditorState) => Pressed>> = {
  return: submit,
  'M-return': newline,
  enter: newline,
  'M-enter': newline,
  left: move(left),
  'C-b': move(left),
  right: move(right),
  'C-f': move(right),
  home: move(home),
  'C-a': move(home),
  end: move(end),
  'C-e': move(end),
  'M-b': move(wordLeft),
  'C-left': move(wordLeft),
  'M-left': move(wordLeft),
  'M-f': move(wordRight),
  'C-right': move(wordRight),
  'M-right': move(wordRight),
  backspace: remove(backspace),
  'C-h': remove(backspace),
  delete: remove(deleteNext),
  'C-u': kill(killToStart),
  'C-k': kill(killToEnd),
  'C-w': kill(killBlankLeft),
  'M-backspace': kill(killWordLeft),
  'M-d': kill(killWordRight),
  'C-y': (state) => [typed(state, state.killed)],
  up: upOrDown(-1),
  down: upOrDown(1),
  'C-p': (state) => [recall(state, -1)],
  'C-n': (state) => [recall(state, 1)],
  'C-r': startSearch,
  'C-c': interrupt,
  'C-d': endOrDelete,
  'C-l': tell('clear-screen'),
  'C-g': tell('open-editor'),
  'C-z': tell('suspend'),
  tab: tell('complete'),
};

/** Ctrl-R again: older; Esc, Ctrl-C and Ctrl-G: back; any other key takes what was found, and does its own work. */
function searching(
  state: EditorState,
  search: NonNullable<EditorState['search']>,
  key: Key,
  name: string,
): Pressed {
  const { query, before } = search;
  if (name === 'C-r') return [look(state, query, before, state.at - 1)];
  if (name === 'backspace') return [look(state, query.slice(0, -1), before, state.past.length - 1)];
  const { sequence = '' } = key;
  if (!key.ctrl && !key.meta && isText(sequence)) {
    return [look(state, query + sequence, before, Math.min(state.at, state.past.length - 1))];
  }
  if (['escape', 'M-escape', 'C-c', 'C-g'].includes(name)) {
    return [{ ...state, search: undefined, at: state.past.length, draft: before }];
  }
  return press({ ...state, search: undefined, draft: bufferOf(found(state) ?? before.text) }, key);
}

function look(state: EditorState, query: string, before: Draft, from: number): EditorState {
  const at = query === '' ? -1 : state.past.findLastIndex((text, i) => i <= from && text.includes(query));
  if (at === -1 && query !== '' && state.search?.query === query) return state;
  return { ...state, at: at === -1 ? state.past.length : at, search: { query, before } };
}
