/** What of an open tail can be shown: marks that may yet mean something wait for what comes next, open ones are closed. */
import { blockTokensOf } from './lexer.js';
import { closed } from './open-marks.js';

/** A fence that opens a code block, also inside lists and quotes. */
const fence = /^\s*(?:(?:[-*+>]|\d+[.)])\s*)*(`{3,}|~{3,})([^`]*)$/;
/** The last line is nothing but the start of a heading, list item, quote, rule, underline or table row so far. */
const onlyMark = /^[\s>]*(?:#{1,6}|[-*+>=_~|`]+|\d{1,9}[.)]?|[-*+]\s+\[[ xX]?\]?|[-*_](?:\s+[-*_])+)\s*$/;
/** What makes a line begin something new: the mark of a heading, an item or its box. */
const opening = /^[\s>]*(?:#{1,6}\s+|(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?)*/;
const heading = /^[\s>]*#{1,6}\s/;
const quoted = (line: string) => /^[\s>]*/.exec(line)![0].replace(/\s/g, '');
const indented = /^(?: {4}|\t)/;

/** `source` as it can be shown: without the marks at its end whose meaning is open, with those closed that are open. */
export function settled(source: string): string {
  const lines = source.split('\n');
  const last = lines.at(-1)!;
  const above = lines.slice(0, -1);
  const { open, until } = codeIn(above);
  if (open) return /^\s*[`~]+\s*$/.test(last) ? above.join('\n') : source;
  const waits = fence.test(last) || onlyMark.test(last);
  return paragraphClosed(settledTable(waits ? [...above, ''] : lines), until);
}

/** Closes what is open in the last paragraph, item or cell; the first `least` lines are over. */
function paragraphClosed(lines: readonly string[], least: number): string {
  let from = lines.length - 1;
  while (from > least && goesOn(lines[from - 1]!, lines[from]!)) from -= 1;
  const text = lines.slice(from).join('\n');
  const mark = opening.exec(text)![0].length;
  if (isAsWritten(text, mark)) return lines.join('\n');
  const cell = inTable(lines)
    ? Math.max(mark, lines.slice(from, -1).join('\n').length, lastPipe(text))
    : mark;
  const start = [...lines.slice(0, from), ''].join('\n');
  return start + text.slice(0, cell) + closed(text.slice(cell));
}

/** Whether marks are characters in `text`, which begins with an opening of `mark` characters: indented code, HTML. */
function isAsWritten(text: string, mark: number): boolean {
  const inside = indented.test(text) ? text : text.slice(mark).replaceAll(/^(?: {0,3}> ?)+/gm, '');
  if (!indented.test(inside) && !inside.startsWith('<')) return false;
  return /^(?:code|html)$/.test(blockTokensOf(inside)[0]?.type ?? '');
}

/** Whether `line` belongs to the paragraph of the line above. */
const goesOn = (above: string, line: string) =>
  above.replace(/[\s>]/g, '') !== '' &&
  opening.exec(line)![0].replace(/[\s>]/g, '') === '' &&
  !heading.test(above) &&
  quoted(above) === quoted(line);

const delimiter = /^[\s>]*\|?(?:\s*:?-+:?\s*(?:\||$))+\s*$/;
const delimiterSoFar = /^[\s>|:-]*$/;

/** `line` with its code and what is escaped made blank: pipes in there part no cells that a model writes. */
const bare = (line: string) => line.replace(/`[^`]*`?|\\./g, (part) => ' '.repeat(part.length));
const lastPipe = (line: string) => bare(line).lastIndexOf('|') + 1;

/** Where a row of a table begins if `line` is the first one of it: at its first pipe, after a short cell; else -1. */
function firstPipe(line: string): number {
  const at = bare(line).search(/^[\s>]*\||(?<=^.{1,40}\s)\|(?=\s|$)/);
  return at < 0 ? -1 : bare(line).indexOf('|', at);
}

/** Whether the last of `lines` is a row below a table's head. */
function inTable(lines: readonly string[]): boolean {
  for (let at = lines.length - 2; at > 0 && lines[at]!.trim() !== ''; at -= 1) {
    if (delimiter.test(lines[at]!) && lines[at]!.includes('|') && bare(lines[at - 1]!).includes('|'))
      return true;
  }
  return false;
}

/** A table's head is one once the line below it says so: until then neither is shown from its first pipe on. */
function settledTable(lines: readonly string[]): readonly string[] {
  if (inTable(lines)) return lines;
  const above = lines.at(-2) ?? '';
  const last = lines.at(-1)!;
  if (delimiterSoFar.test(last) && firstPipe(above) >= 0) {
    return [...lines.slice(0, -2), above.slice(0, firstPipe(above))];
  }
  return firstPipe(last) >= 0 ? [...lines.slice(0, -1), last.slice(0, firstPipe(last))] : lines;
}

/** Whether a code block is open after `lines`, and how many of them the last one has ended with. */
function codeIn(lines: readonly string[]): { readonly open: boolean; readonly until: number } {
  let open: string | undefined;
  let until = 0;
  for (const [at, line] of lines.entries()) {
    const [, run, info] = fence.exec(line) ?? [];
    if (run === undefined) continue;
    if (open === undefined) open = run;
    else if (run[0] === open[0] && run.length >= open.length && info!.trim() === '') {
      open = undefined;
      until = at + 1;
    }
  }
  return { open: open !== undefined, until };
}
