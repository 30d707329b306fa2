/** What the keys of the table do. */
import { branch } from '../chat/conversation.js';
import { completions, interpret, runSlash } from '../chat/slash/table.js';
import type { FrontEffect, ServiceEffect } from '../chat/slash/types.js';
import { edits, editorOf, emptyEditor, expanded, moveLine, type Edit } from './editor.js';
import { geometryOf } from './geometry.js';
import type { Action } from './keys.js';
import { without, type Effect, type Next, type State } from './state.js';
import { begun, follow, fronted, remarked, send } from './outcome.js';
import { scrolled, toTop } from './viewport.js';

/** How long a key that asks to be pressed again waits. */
const armedMs = 3000;

export function act(last: State, action: Action, key: string): Next {
  const armed = last.armed?.key === key && last.now <= last.armed.until;
  const state = without(last, 'armed');
  const page = geometryOf(state).transcript;
  switch (action) {
    case 'send':
      return submit(state);
    case 'stop':
      if (state.pending) return stop(state);
      if (state.input.text === '') return [without(state, 'replaces'), []];
      // of an earlier message nothing is lost
      if (armed || state.replaces !== undefined)
        return [{ ...without(state, 'replaces'), input: emptyEditor }, []];
      return [arm(state, key, 'Esc again clears the message'), []];
    case 'interrupt':
      if (state.input.text !== '') return [{ ...without(state, 'replaces'), input: emptyEditor }, []];
      if (state.pending) return stop(state);
      return armed ? [state, [{ kind: 'leave' }]] : [arm(state, key, 'Ctrl-C again leaves'), []];
    case 'end':
      if (state.input.text !== '') return edited(state, 'delete');
      return armed ? [state, [{ kind: 'leave' }]] : [arm(state, key, 'Ctrl-D again leaves'), []];
    case 'previous':
      return [recall(state, -1), []];
    case 'next':
      return [recall(state, 1), []];
    case 'complete':
      return [complete(state), []];
    case 'page-up':
      return [follow(state, scrolled(state, page, 1 - page)), []];
    case 'page-down':
      return [follow(state, scrolled(state, page, page - 1)), []];
    case 'line-up':
      return [follow(state, scrolled(state, page, -3)), []];
    case 'line-down':
      return [follow(state, scrolled(state, page, 3)), []];
    case 'top':
      return [follow(state, toTop(state, page)), []];
    case 'bottom':
      return [follow(state, undefined), []];
    case 'regenerate':
      return command(state, '/regen');
    case 'edit-last':
      return [editEarlier(state), []];
    case 'copy-reply':
      return command(state, '/copy');
    case 'copy-code':
      return command(state, '/copy code');
    case 'stats':
      return command(state, `/stats ${state.chat?.settings['show-stats'] ? 'off' : 'on'}`);
    case 'search':
      return [{ ...state, panel: { kind: 'search', query: emptyEditor, missing: false } }, []];
    case 'settings':
      return [state.chat ? { ...state, panel: { kind: 'settings', chosen: 0 } } : state, []];
    case 'help':
      return [{ ...state, panel: { kind: 'help', top: 0 } }, []];
    case 'mouse':
      return mouse(state);
    case 'editor':
      return [state, [{ kind: 'editor', text: expanded(state.input) }]];
    case 'redraw':
      return [state, [{ kind: 'redraw' }]];
    case 'suspend':
      return [state, [{ kind: 'suspend' }]];
    default:
      return edited(state, action);
  }
}

const edited = (state: State, edit: Edit): Next => [
  { ...without(state, 'recalled'), input: edits[edit](state.input) },
  [],
];

function arm(state: State, key: string, text: string): State {
  return { ...state, armed: { key, until: state.now + armedMs }, notice: { text, role: 'warning' } };
}

function stop(state: State): Next {
  return [{ ...state, pending: { ...state.pending!, stopping: true } }, [{ kind: 'cancel' }]];
}

function mouse(state: State): Next {
  const on = !state.mouse;
  const text = on
    ? 'mouse on: the wheel scrolls, Shift-drag selects'
    : 'mouse off: the terminal selects text';
  return [{ ...state, mouse: on, notice: { text, role: 'muted' } }, [{ kind: 'mouse', on }]];
}

function submit(state: State): Next {
  const text = expanded(state.input);
  if (text.trim() === '') return [state, []];
  const meant = interpret(text);
  if (meant.kind !== 'message') {
    const [next, effects] = command({ ...without(state, 'recalled'), input: emptyEditor }, text.trim());
    return [kept(next, text), [...effects, { kind: 'remember', text }]];
  }
  if (!state.chat && state.queued === undefined) {
    const waiting = { ...without(state, 'recalled'), queued: meant.text, input: emptyEditor };
    return [kept(waiting, text), [{ kind: 'remember', text }]];
  }
  if (state.pending || !state.chat) {
    return [{ ...state, notice: { text: 'still answering; Esc stops the reply', role: 'warning' } }, []];
  }
  const [next, effects] = send({ ...without(state, 'recalled'), input: emptyEditor }, meant.text);
  return [kept(next, text), [...effects, { kind: 'remember', text }]];
}

const kept = (state: State, text: string): State =>
  state.prompts.at(-1) === text ? state : { ...state, prompts: [...state.prompts, text] };

/** The commands that this front end has beside the shared ones. */
const own: Readonly<Record<string, Action>> = {
  '/help': 'help',
  '/?': 'help',
  '/settings': 'settings',
  '/search': 'search',
  '/mouse': 'mouse',
};

/** Carries a slash command out, typed or by its key. */
export function command(state: State, line: string): Next {
  const action = own[line.split(/\s/)[0]!];
  if (action) return act(state, action, line);
  if (line.trim() === '/edit') return [editEarlier(state), []];
  const meant = interpret(line);
  if (meant.kind === 'message') return [state, []];
  if (!state.chat) return [{ ...state, notice: { text: 'the model is still loading', role: 'warning' } }, []];
  const [chat, effects] = runSlash(state.chat, meant);
  const speaks = effects.some(({ kind }) => kind === 'send' || kind === 'load' || kind === 'read');
  const { turns, head } = state.chat.conversation;
  const others = chat.conversation.turns !== turns || chat.conversation.head !== head;
  if (state.pending && (speaks || others)) {
    return [{ ...state, notice: { text: 'still answering; Esc stops the reply', role: 'warning' } }, []];
  }
  const services: Effect[] = [];
  const front: FrontEffect[] = [];
  for (const effect of effects) {
    if (isFront(effect)) front.push(effect);
    else services.push({ kind: 'perform', effect, chat });
  }
  const anew = chat.conversation.turns.length < state.chat.conversation.turns.length;
  // a place in the transcript is none in another one
  const from = anew ? begun(state) : others ? follow(state, undefined) : state;
  const [next, more] = fronted({ ...from, chat }, front);
  return [next, [...services, ...more]];
}

const frontKinds: readonly string[] = ['say', 'complain', 'send', 'compose', 'clear-screen', 'leave'];
const isFront = (effect: FrontEffect | ServiceEffect): effect is FrontEffect =>
  frontKinds.includes(effect.kind);

/** Puts the last message into the input; pressed again, the one before. */
function editEarlier(state: State): State {
  if (!state.chat || state.pending) return state;
  const turns = branch(state.chat.conversation);
  const at = turns.findIndex(({ id }) => id === state.replaces);
  const turn = turns[at < 0 ? turns.length - 1 : Math.max(0, at - 1)];
  if (!turn) return remarked(state, ['Nothing has been said yet'], 'muted');
  return {
    ...state,
    input: editorOf(turn.user),
    replaces: turn.id,
    notice: { text: 'Enter sends it in the place of the old one; Esc leaves it', role: 'muted' },
  };
}

function recall(state: State, step: 1 | -1): State {
  const moved = moveLine(state.input, step);
  if (moved) return { ...state, input: moved };
  const { prompts, recalled } = state;
  const at = (recalled?.at ?? prompts.length) + step;
  if (at < 0 || (step > 0 && !recalled)) return state;
  if (at >= prompts.length) return { ...without(state, 'recalled'), input: recalled!.draft };
  return { ...state, input: editorOf(prompts[at]!), recalled: { at, draft: recalled?.draft ?? state.input } };
}

function complete(state: State): State {
  const { text } = state.input;
  const names = [
    ...new Set([...completions(text), ...Object.keys(own).filter((name) => name.startsWith(text))]),
  ];
  if (text === '' || names.length === 0) return state;
  let common = names[0]!;
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
  const done = names.length === 1 ? `${common} ` : common;
  const input = editorOf(done.length > text.length ? done : text);
  return names.length === 1
    ? { ...state, input }
    : { ...state, input, notice: { text: names.join('  '), role: 'muted' } };
}
