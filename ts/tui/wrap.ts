/** Breaks styled text into lines of a width, at spaces where possible, never inside a character. */
import { clustersOf, span, type Line, type Span, type Style } from './cells.js';

const tabWidth = 4;

/** A line under construction: equal neighbours become one span. */
class Row {
  readonly spans: Span[] = [];
  width = 0;
  private text = '';
  private style: Style | undefined;

  add(text: string, columns: number, style: Style): void {
    if (style !== this.style) this.flush();
    this.style = style;
    this.text += text;
    this.width += columns;
  }

  flush(): Line {
    if (this.text !== '' && this.style) this.spans.push(span(this.text, this.style));
    this.text = '';
    return this.spans;
  }
}

/** Wraps `spans`; newlines in them break. At least one line, each at most `width` columns. */
export function wrap(spans: Line, width: number): Line[] {
  const room = Math.max(1, width);
  const lines: Line[] = [];
  let row = new Row();
  let word: (readonly [string, number, Style])[] = [];
  let wordWidth = 0;
  const breakLine = () => {
    lines.push(row.flush());
    row = new Row();
  };
  const placeWord = () => {
    if (row.width > 0 && row.width + wordWidth > room) breakLine();
    for (const [text, columns, style] of word) {
      if (row.width > 0 && row.width + columns > room) breakLine();
      row.add(columns > room ? '?' : text, Math.min(columns, room), style);
    }
    word = [];
    wordWidth = 0;
  };
  for (const { text, style } of spans) {
    for (const [cluster, columns] of clustersOf(text)) {
      if (cluster === '\n' || cluster === '\r\n') {
        placeWord();
        breakLine();
      } else if (cluster === ' ' || cluster === '\t') {
        placeWord();
        const blanks = cluster === ' ' ? 1 : tabWidth - (row.width % tabWidth);
        // the blank at a break is not shown
        if (row.width + blanks <= room) row.add(' '.repeat(blanks), blanks, style);
        else if (row.width > 0 && row.width < room)
          row.add(' '.repeat(room - row.width), room - row.width, style);
      } else {
        // of a word longer than a line each piece fills one
        if (wordWidth + columns > room) placeWord();
        word.push([cluster, columns, style]);
        wordWidth += columns;
        // ideographs may be parted anywhere
        if (columns === 2) placeWord();
      }
    }
  }
  placeWord();
  lines.push(row.flush());
  return lines;
}

/** Breaks at the width and nowhere else, as code and what is being typed are shown. */
export function hardWrap(spans: Line, width: number): Line[] {
  const room = Math.max(1, width);
  const lines: Line[] = [];
  let row = new Row();
  for (const { text, style } of spans) {
    for (const [cluster, columns] of clustersOf(text)) {
      const isBreak = cluster === '\n' || cluster === '\r\n';
      const wide = cluster === '\t' ? Math.min(room, tabWidth - (row.width % tabWidth)) : columns;
      if (isBreak || row.width + wide > room) {
        lines.push(row.flush());
        row = new Row();
      }
      if (isBreak) continue;
      if (wide > room) row.add('?', 1, style);
      else row.add(cluster === '\t' ? ' '.repeat(wide) : cluster, wide, style);
    }
  }
  lines.push(row.flush());
  return lines;
}
