/** THE table of keys: what update looks up and what the help screen shows. */
import type { Edit } from './editor.js';

export type Action =
  | Edit
  | 'send'
  | 'stop'
  | 'interrupt'
  | 'end'
  | 'previous'
  | 'next'
  | 'complete'
  | 'page-up'
  | 'page-down'
  | 'line-up'
  | 'line-down'
  | 'top'
  | 'bottom'
  | 'regenerate'
  | 'edit-last'
  | 'copy-reply'
  | 'copy-code'
  | 'search'
  | 'editor'
  | 'settings'
  | 'stats'
  | 'help'
  | 'mouse'
  | 'redraw'
  | 'suspend';

export interface KeyRow {
  readonly action: Action;
  /** As {@link decode} names them; the first is the one that help names first. */
  readonly keys: readonly string[];
  /** Alt and function keys are lost in some terminals: what can be typed instead. */
  readonly slash?: string;
  readonly help: string;
  readonly group: 'Message' | 'Transcript' | 'Reply' | 'Program';
}

const row = (
  group: KeyRow['group'],
  action: Action,
  keys: readonly string[],
  help: string,
  slash?: string,
): KeyRow => ({ group, action, keys, help, ...(slash === undefined ? {} : { slash }) });

export const keyTable: readonly KeyRow[] = [
  row('Message', 'send', ['Enter'], 'send the message'),
  row('Message', 'newline', ['Alt-Enter', 'Shift-Enter', 'Ctrl-J'], 'new line'),
  row('Message', 'previous', ['Up', 'Ctrl-P'], 'line above, then earlier prompts'),
  row('Message', 'next', ['Down', 'Ctrl-N'], 'line below, then later prompts'),
  row('Message', 'complete', ['Tab'], 'complete a /command'),
  row('Message', 'editor', ['Ctrl-G'], 'write in $EDITOR'),
  row('Message', 'line-start', ['Ctrl-A', 'Home'], 'start of the line'),
  row('Message', 'line-end', ['Ctrl-E', 'End'], 'end of the line'),
  row('Message', 'left', ['Left', 'Ctrl-B'], 'one character back'),
  row('Message', 'right', ['Right', 'Ctrl-F'], 'one character on'),
  row('Message', 'word-left', ['Alt-B', 'Ctrl-Left'], 'one word back'),
  row('Message', 'word-right', ['Alt-F', 'Ctrl-Right'], 'one word on'),
  row('Message', 'backspace', ['Backspace'], 'erase the character before'),
  row('Message', 'delete', ['Delete'], 'erase the character after'),
  row('Message', 'erase-word', ['Ctrl-W', 'Alt-Backspace'], 'erase the word before'),
  row('Message', 'erase-to-start', ['Ctrl-U'], 'erase to the start of the line'),
  row('Message', 'erase-to-end', ['Ctrl-K'], 'erase to the end of the line'),
  row('Reply', 'stop', ['Escape'], 'stop the reply; twice: clear the message'),
  row('Reply', 'regenerate', ['Alt-R'], 'answer the last message again', '/regen'),
  row(
    'Reply',
    'edit-last',
    ['Alt-E'],
    'edit an earlier message and go on from there; again: one before',
    '/edit',
  ),
  row('Reply', 'copy-reply', ['Alt-C'], 'copy the last reply', '/copy'),
  row('Reply', 'copy-code', ['Alt-K'], 'copy the last code block', '/copy code'),
  row('Transcript', 'page-up', ['PageUp'], 'a page up'),
  row('Transcript', 'page-down', ['PageDown'], 'a page down'),
  row('Transcript', 'line-up', ['Ctrl-Up', 'Alt-Up'], 'three lines up'),
  row('Transcript', 'line-down', ['Ctrl-Down', 'Alt-Down'], 'three lines down'),
  row('Transcript', 'top', ['Ctrl-Home'], 'to the first message'),
  row('Transcript', 'bottom', ['Ctrl-End'], 'to the newest text'),
  row('Transcript', 'search', ['Ctrl-R', 'F4'], 'search; Enter and Up: earlier, Down: later', '/search'),
  row('Program', 'help', ['F1'], 'this screen', '/help'),
  row('Program', 'stats', ['F2', 'Ctrl-O'], 'figures of each reply, on and off', '/stats'),
  row('Program', 'settings', ['F3'], 'settings', '/settings'),
  row('Program', 'mouse', ['F6'], 'mouse on and off; off, the terminal selects text', '/mouse'),
  row('Program', 'redraw', ['Ctrl-L'], 'draw the screen anew'),
  row('Program', 'suspend', ['Ctrl-Z'], 'back to the shell; fg returns'),
  row('Program', 'interrupt', ['Ctrl-C'], 'clear the message, else stop the reply, else twice: leave'),
  row('Program', 'end', ['Ctrl-D'], 'erase the character after; twice in an empty message: leave', '/bye'),
];

/** The commands that this front end has beside the shared ones. */
export const ownCommands: readonly (readonly [string, string])[] = [
  ['/settings', 'the settings, to look at and change'],
  ['/search', 'search in the transcript'],
  ['/mouse', 'mouse on and off'],
];

const byKey = new Map(keyTable.flatMap((entry) => entry.keys.map((key) => [key, entry.action] as const)));

export const actionOf = (key: string): Action | undefined => byKey.get(key);
