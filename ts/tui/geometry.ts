/** How the screen is divided: header, transcript, input box with its rule, status bar. */
import { span, widthOf, type Line } from './cells.js';
import type { Editor } from './editor.js';
import type { State } from './state.js';
import { hardWrap } from './wrap.js';
import { sanitise } from '../sanitise.js';

/** A laid-out text being typed, and where the cursor is in it. */
export interface Typed {
  readonly lines: readonly Line[];
  readonly x: number;
  readonly y: number;
}

/** Lays an editor's text out and finds its cursor. A text far larger than a screen is shown around the cursor. */
export function typedLines({ text, at }: Editor, width: number, most: number): Typed {
  const room = Math.max(1, width);
  const reach = room * (most + 2);
  const from = Math.max(0, at - reach);
  const before = sanitise(text.slice(from, at));
  const after = sanitise(text.slice(at, at + reach));
  const lines = hardWrap([span(before + after, { role: 'text' })], room);
  const head = hardWrap([span(before)], room);
  let y = head.length - 1;
  let x = widthOf(head[y]!.map((part) => part.text).join(''));
  // after a full row the cursor stands at the start of the next one
  if (x >= room) {
    x = 0;
    y += 1;
    if (y >= lines.length) lines.push([]);
  }
  const first = Math.max(0, Math.min(y - most + 1, lines.length - most), y >= most ? y - most + 1 : 0);
  return { lines: lines.slice(first, first + most), x, y: y - first };
}

export interface Geometry {
  readonly header: number;
  readonly transcript: number;
  /** 0 where the screen is too small for a rule. */
  readonly rule: number;
  readonly input: Typed;
  readonly status: number;
}

/** The parts of the screen; on a tiny one the input stays longest. */
export function geometryOf(state: State): Geometry {
  const most = Math.max(1, Math.floor(state.rows / 3));
  const input = typedLines(state.input, state.columns - 2, most);
  let left = Math.max(0, state.rows - input.lines.length);
  const take = (wanted: number, from: number) => {
    const given = left >= from ? wanted : 0;
    left -= given;
    return given;
  };
  const status = take(1, 2);
  const header = take(1, 4);
  const rule = take(1, 3);
  return { header, status, rule, input, transcript: left };
}
