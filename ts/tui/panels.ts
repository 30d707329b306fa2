/** The panels over the transcript: help, settings, search. */
import { settingNames, settingRow, settingText, withSetting, type SettingName } from '../chat/settings.js';
import { withSystem } from '../chat/conversation.js';
import { asAxllmError } from '../errors.js';
import { edits, editorOf, emptyEditor, type Editor } from './editor.js';
import { geometryOf } from './geometry.js';
import { helpLines } from './help.js';
import { actionOf } from './keys.js';
import { follow } from './outcome.js';
import { without, type Next, type Panel, type State } from './state.js';
import { around, bottom, find } from './viewport.js';

/** The rows of the settings panel: the system prompt, then what `/set` knows. */
export const settingRows = ['system', ...settingNames] as const;

const closing = new Set(['Escape', 'Ctrl-C', 'F1', 'F3', 'F4', 'Ctrl-R']);

/** What a key does to the open panel; `undefined` leaves it to the key table. */
export function panelKey(state: State, key: string): Next | undefined {
  const panel = state.panel!;
  const action = actionOf(key);
  if (panel.kind === 'settings' && panel.value) return [settingKey(state, panel, key), []];
  if (panel.kind === 'search') {
    const found = searchKey(state, panel, key);
    if (found) return [found, []];
  }
  if (closing.has(key)) return [without(state, 'panel'), []];
  const step = { previous: -1, next: 1, 'page-up': -10, 'page-down': 10 }[action as string];
  if (panel.kind === 'settings' && action === 'send') return [openSetting(state, panel.chosen), []];
  if (panel.kind !== 'search' && step !== undefined) return [panelMoved(state, panel, step), []];
  // the rest of the program's own keys stay alive behind a panel
  return action && ['redraw', 'suspend', 'mouse', 'stats'].includes(action) ? undefined : [state, []];
}

/** What typing does to the open panel. */
export function panelInput(state: State, edit: (editor: Editor) => Editor): State {
  const { panel } = state;
  if (panel?.kind === 'search') {
    const query = edit(panel.query);
    return searched(state, { ...panel, query: { ...query, text: query.text.replace(/\s/g, ' ') } });
  }
  if (panel?.kind === 'settings' && panel.value)
    return { ...state, panel: { ...panel, value: edit(panel.value) } };
  return state;
}

/** Scrolls the help, or goes on to another setting. */
export function panelMoved(state: State, panel: Exclude<Panel, { kind: 'search' }>, step: number): State {
  if (panel.kind === 'help') {
    const last = helpLines(state.columns).length - geometryOf(state).transcript;
    return { ...state, panel: { ...panel, top: Math.max(0, Math.min(last, panel.top + step)) } };
  }
  if (panel.value) return state;
  const chosen = Math.max(0, Math.min(settingRows.length - 1, panel.chosen + step));
  return { ...state, panel: { kind: 'settings', chosen } };
}

/** A row's value as it can be typed. */
export function settingValue(state: State, row: (typeof settingRows)[number]): string {
  const { chat } = state;
  if (!chat) return '';
  return row === 'system' ? (chat.conversation.system ?? '') : settingText(chat.settings, row);
}

/** Yes-or-no settings change at once, the others open for typing. */
function openSetting(state: State, chosen: number): State {
  const row = settingRows[chosen]!;
  if (row !== 'system' && settingRow(row).type === 'boolean') {
    return changed(state, chosen, settingValue(state, row) === 'true' ? 'false' : 'true');
  }
  const value = settingValue(state, row);
  return { ...state, panel: { kind: 'settings', chosen, value: editorOf(value === 'default' ? '' : value) } };
}

function settingKey(state: State, panel: Extract<Panel, { kind: 'settings' }>, key: string): State {
  const action = actionOf(key);
  if (action === 'stop' || action === 'interrupt') {
    return { ...state, panel: { kind: 'settings', chosen: panel.chosen } };
  }
  if (action === 'send') return changed(state, panel.chosen, panel.value!.text);
  return action && action in edits
    ? { ...state, panel: { ...panel, value: edits[action as keyof typeof edits](panel.value!) } }
    : state;
}

function changed(state: State, chosen: number, text: string): State {
  const chat = state.chat!;
  const row = settingRows[chosen]!;
  const panel: Panel = { kind: 'settings', chosen };
  if (row === 'system') {
    const conversation = withSystem(chat.conversation, text.trim() === '' ? undefined : text);
    return { ...state, chat: { ...chat, conversation }, panel };
  }
  try {
    const settings = withSetting(chat.settings, row as SettingName, text.trim() === '' ? 'default' : text);
    return { ...state, chat: { ...chat, settings }, panel };
  } catch (error) {
    const problem = asAxllmError(error).message;
    return { ...state, panel: { kind: 'settings', chosen, value: editorOf(text), problem } };
  }
}

function searchKey(state: State, panel: Extract<Panel, { kind: 'search' }>, key: string): State | undefined {
  const action = actionOf(key);
  if (action === 'send' || action === 'previous' || action === 'search') return jump(state, panel, -1);
  if (action === 'next') return jump(state, panel, 1);
  if (action && action in edits) {
    return searched(state, { ...panel, query: edits[action as keyof typeof edits](panel.query) });
  }
  return undefined;
}

/** A changed query is looked for anew, from the end on. */
function searched(state: State, panel: Extract<Panel, { kind: 'search' }>): State {
  const { query } = panel;
  return query.text === ''
    ? { ...state, panel: { kind: 'search', query: emptyEditor, missing: false } }
    : jump(state, { kind: 'search', query, missing: false }, -1);
}

function jump(state: State, panel: Extract<Panel, { kind: 'search' }>, step: 1 | -1): State {
  const { transcript } = geometryOf(state);
  const from = panel.at ?? bottom(state, 0);
  const at = find(state, panel.query.text, from, step);
  if (!at) return { ...state, panel: { ...panel, missing: true } };
  const found = { ...state, panel: { ...panel, at, missing: false } };
  return transcript > 0 ? follow(found, around(state, transcript, at)) : found;
}
