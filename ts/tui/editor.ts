/** The text being typed: pure operations on text and a place in it. */
import { clustersOf } from './cells.js';

/** A long paste, shown folded. */
export interface Fold {
  readonly mark: string;
  readonly text: string;
}

export interface Editor {
  readonly text: string;
  /** Index into `text` of the cursor, always between two characters. */
  readonly at: number;
  /** Pastes that `text` holds a mark of. */
  readonly folds: readonly Fold[];
}

export const emptyEditor: Editor = { text: '', at: 0, folds: [] };

/** A paste of more lines or characters than this is folded. */
const foldLines = 5;
const foldLength = 1000;

export const editorOf = (text: string): Editor => ({ text, at: text.length, folds: [] });

export function insert(editor: Editor, more: string): Editor {
  const text = editor.text.slice(0, editor.at) + more + editor.text.slice(editor.at);
  return { ...editor, text, at: editor.at + more.length };
}

/** Puts in what was pasted, as one piece; a long one as a mark that {@link expanded} turns back. */
export function paste(editor: Editor, pasted: string): Editor {
  const text = pasted.replace(/\r\n?/g, '\n');
  const lines = text.split('\n').length;
  if (lines <= foldLines && text.length <= foldLength) return insert(editor, text);
  const what = lines > 1 ? `${lines} lines` : `${text.length} characters`;
  let mark = `[pasted ${what}]`;
  for (let n = 2; editor.folds.some((fold) => fold.mark === mark); n += 1) mark = `[pasted ${what} #${n}]`;
  return insert({ ...editor, folds: [...editor.folds, { mark, text }] }, mark);
}

/** What is sent: the text with every fold opened. */
export function expanded({ text, folds }: Editor): string {
  // one pass, so that a pasted text that looks like a mark is left alone
  let result = '';
  for (let at = 0; at < text.length;) {
    const fold = folds.find(({ mark }) => text.startsWith(mark, at));
    result += fold ? fold.text : text[at];
    at += fold ? fold.mark.length : 1;
  }
  return result;
}

/** The place one character, or one folded paste, before or after `at`. */
function neighbour({ text, at, folds }: Editor, step: 1 | -1): number {
  if (step > 0) {
    const fold = folds.find(({ mark }) => text.startsWith(mark, at));
    if (fold) return at + fold.mark.length;
    // a long text is not segmented as a whole for one step
    for (const [cluster] of clustersOf(text.slice(at, at + 100))) return at + cluster.length;
    return at;
  }
  const fold = folds.find(({ mark }) => text.slice(0, at).endsWith(mark));
  if (fold) return at - fold.mark.length;
  let last = 0;
  for (const [cluster] of clustersOf(text.slice(Math.max(0, at - 100), at))) last = cluster.length;
  return at - last;
}

const isWord = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}_]/u.test(character);

function wordEdge({ text, at }: Editor, step: 1 | -1): number {
  const look = (place: number) => text[step > 0 ? place : place - 1];
  let place = at;
  while (look(place) !== undefined && !isWord(look(place))) place += step;
  while (isWord(look(place))) place += step;
  return place;
}

const lineStart = ({ text, at }: Editor) => text.lastIndexOf('\n', at - 1) + 1;

function lineEnd({ text, at }: Editor): number {
  const found = text.indexOf('\n', at);
  return found < 0 ? text.length : found;
}

function erase(editor: Editor, from: number, to: number): Editor {
  const text = editor.text.slice(0, from) + editor.text.slice(to);
  return { text, at: from, folds: editor.folds.filter(({ mark }) => text.includes(mark)) };
}

/** Goes to the line above or below, at the same column where it has one; `undefined` where there is none. */
function vertical(editor: Editor, step: 1 | -1): number | undefined {
  const { text } = editor;
  const start = lineStart(editor);
  const column = editor.at - start;
  if (step < 0) {
    if (start === 0) return undefined;
    const above = text.lastIndexOf('\n', start - 2) + 1;
    return Math.min(above + column, start - 1);
  }
  const end = lineEnd(editor);
  if (end === text.length) return undefined;
  return Math.min(end + 1 + column, lineEnd({ ...editor, at: end + 1 }));
}

/** What editing keys do, by the name that the key table gives them. */
export const edits = {
  left: (editor: Editor) => ({ ...editor, at: neighbour(editor, -1) }),
  right: (editor: Editor) => ({ ...editor, at: neighbour(editor, 1) }),
  'word-left': (editor: Editor) => ({ ...editor, at: wordEdge(editor, -1) }),
  'word-right': (editor: Editor) => ({ ...editor, at: wordEdge(editor, 1) }),
  'line-start': (editor: Editor) => ({ ...editor, at: lineStart(editor) }),
  'line-end': (editor: Editor) => ({ ...editor, at: lineEnd(editor) }),
  backspace: (editor: Editor) => erase(editor, neighbour(editor, -1), editor.at),
  delete: (editor: Editor) => erase(editor, editor.at, neighbour(editor, 1)),
  'erase-word': (editor: Editor) => erase(editor, wordEdge(editor, -1), editor.at),
  'erase-to-start': (editor: Editor) => erase(editor, lineStart(editor), editor.at),
  'erase-to-end': (editor: Editor) => erase(editor, editor.at, lineEnd(editor)),
  newline: (editor: Editor) => insert(editor, '\n'),
} satisfies Record<string, (editor: Editor) => Editor>;

export type Edit = keyof typeof edits;

/** The line above or below, or `undefined` at the first or last line. */
export function moveLine(editor: Editor, step: 1 | -1): Editor | undefined {
  const at = vertical(editor, step);
  return at === undefined ? undefined : { ...editor, at };
}
