/** Lays Markdown out in lines of a width. */
import type { MarkedToken, Token, Tokens } from 'marked';
import { cut, fit, lineWidth, span, type Line, type Span, type Style } from '../cells.js';
import { hardWrap, wrap } from '../wrap.js';
import { highlight } from './highlight.js';
import { tokenSpans } from './inline.js';
import { tokensOf } from './lexer.js';
import { tableLines } from './table.js';

const text: Style = { role: 'text' };
const muted: Style = { role: 'muted' };
const code: Style = { role: 'text', ground: 'code' };

/** The lines of `source`, without blank lines at its ends. */
export function markdownLines(source: string, width: number): Line[] {
  // quotes and lists nested deeper than the width keep their marks, so what they hold is cut
  return blockLines(tokensOf(source), width, text).map((line) => cut(line, width, ''));
}

function blockLines(tokens: readonly Token[], width: number, style: Style): Line[] {
  const lines: Line[] = [];
  let gap = false;
  for (const token of tokens) {
    if (token.type === 'space') continue;
    const own = linesOf(token as MarkedToken, Math.max(1, width), style);
    if (own.length === 0) continue;
    if (gap) lines.push([]);
    lines.push(...own);
    // the text and the list inside a tight list item stand together
    gap = token.type !== 'text';
  }
  return lines;
}

function linesOf(token: MarkedToken, width: number, style: Style): Line[] {
  switch (token.type) {
    case 'heading':
      return heading(token, width, style);
    case 'paragraph':
      return wrap(tokenSpans(token.tokens, style), width);
    case 'text':
      return wrap(token.tokens ? tokenSpans(token.tokens, style) : [span(token.text, style)], width);
    case 'code':
      return codeLines(token, width);
    case 'blockquote': {
      const inner = blockLines(token.tokens, width - 2, { ...style, role: 'muted', italic: true });
      return inner.map((line) => [span('│ ', muted), ...line]);
    }
    case 'list':
      return listLines(token, width, style);
    case 'table':
      return tableLines(token, width, style);
    case 'hr':
      return [[span('─'.repeat(width), muted)]];
    case 'def':
      return wrap([span(token.raw.trim(), muted)], width);
    default:
      return wrap([span(token.raw.replace(/\n+$/, ''), style)], width);
  }
}

function heading({ depth, tokens }: Tokens.Heading, width: number, style: Style): Line[] {
  const look: Style = { ...style, role: 'heading', bold: true, underline: depth === 1 };
  const mark = depth > 2 ? [span(`${'#'.repeat(depth)} `, { role: 'muted' })] : [];
  return wrap([...mark, ...tokenSpans(tokens, look)], width);
}

/** Code keeps its own lines; a long one goes on below. The label is part of the block's top line. */
function codeLines({ text: source, lang }: Tokens.Code, width: number): Line[] {
  const language = /^[\w+#.-]+/.exec(lang ?? '')?.[0] ?? '';
  const label = fit([span(` ${language || 'code'}`, { ...muted, ground: 'code' })], width, code);
  const spans: Span[] = highlight(source, language.toLowerCase());
  const body = hardWrap(spans, Math.max(1, width - 2));
  return [label, ...body.map((line) => fit([span(' ', code), ...line], width, code))];
}

function listLines(list: Tokens.List, width: number, style: Style): Line[] {
  const first = typeof list.start === 'number' ? list.start : 1;
  const lines: Line[] = [];
  for (const [index, item] of list.items.entries()) {
    const box = item.task ? (item.checked ? '☑ ' : '☐ ') : '';
    const bullet = list.ordered ? `${first + index}. ` : box || '• ';
    const mark = span(bullet, { role: 'accent' });
    const indent = Math.min(lineWidth([mark]), Math.max(0, width - 1));
    const inner = blockLines(item.tokens, width - indent, style);
    if (list.loose && index > 0) lines.push([]);
    const body = inner.length > 0 ? inner : [[]];
    body.forEach((line, row) => lines.push([row === 0 ? mark : span(' '.repeat(indent), style), ...line]));
  }
  return lines.map((line) => (lineWidth(line) > width ? fit(line, width) : line));
}
