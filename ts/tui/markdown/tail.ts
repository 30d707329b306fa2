/** What of an open tail can be shown: marks that may yet mean something wait for what comes next, open ones are closed. */
import remend from 'remend';

/** A fence that opens a code block, also inside lists and quotes. */
const fence = /^\s*(?:(?:[-*+>]|\d+[.)])\s*)*(`{3,}|~{3,})([^`]*)$/;
/** The last line is nothing but the start of a heading, list item, quote, rule, underline or table row so far. */
const onlyMark = /^[\s>]*(?:#{1,6}|[-*+>=_~|`]+|\d{1,9}[.)]?|[-*+]\s+\[[ xX]?\]?)\s*$/;
/** Marks at the end that may open or close something, and the start of a character's name. */
const lastMarks = /(?:[*_~`[\\<!]|&[#\w]{0,10})+$/;
const openImage = /!\[[^\]]*(?:\](?:\([^)]*)?)?$/;
/** A link's text whose address has not begun: it shows as it will, without brackets. */
const openLink = /\[([^[\]]*)\]$/;
const tableRow = /^\s*\|/;
const options = { linkMode: 'text-only' } as const;
const delimiter = /^[\s|:-]*$/;

/** `source` as it can be shown: without the marks at its end whose meaning is open, with those closed that are open. */
export function settled(source: string): string {
  const lines = source.split('\n');
  const last = lines.pop()!;
  if (inCode(lines)) return /^\s*[`~]+\s*$/.test(last) ? lines.join('\n') : source;
  if (fence.test(last) || onlyMark.test(last)) return closed(settledTable([...lines, '']));
  const shown = last.replace(openImage, '').replace(lastMarks, '').replace(openLink, '$1');
  return closed(settledTable([...lines, shown]));
}

/** Only the last paragraph can have open marks. */
function closed(text: string): string {
  const at = text.lastIndexOf('\n\n');
  return at < 0 ? remend(text, options) : text.slice(0, at) + remend(text.slice(at), options);
}

/** A table's head is one once the line below it says so: until then neither is shown. */
function settledTable(lines: readonly string[]): string {
  const [last = '', second = '', third = ''] = lines.slice(-3).toReversed();
  if (tableRow.test(last) && !tableRow.test(second)) return lines.slice(0, -1).join('\n');
  if (tableRow.test(second) && !tableRow.test(third) && delimiter.test(last)) {
    return lines.slice(0, -2).join('\n');
  }
  return lines.join('\n');
}

/** Whether a code block is open after `lines`. */
function inCode(lines: readonly string[]): boolean {
  let open: string | undefined;
  for (const line of lines) {
    const [, run, info] = fence.exec(line) ?? [];
    if (run === undefined) continue;
    if (open === undefined) open = run;
    else if (run[0] === open[0] && run.length >= open.length && info!.trim() === '') open = undefined;
  }
  return open !== undefined;
}
