/** Block Markdown as nodes. */
import type { MarkedToken, Token, Tokens } from 'marked';
import { tokensOf } from '../../tui/markdown/lexer.js';
import { codeParts } from '../../tui/markdown/scopes.js';
import { element, purified, type Child } from './dom.js';
import { inlineNodes } from './inline.js';

/** A heading of the reply is below the page's own, which are h1 and h2. */
const headings = ['h3', 'h4', 'h5', 'h6', 'h6', 'h6'] as const;

/** What `source` looks like, in an element of its own, checked once more before anybody sees it. */
export function markdownElement(source: string, className: string): HTMLElement {
  let nodes: Child[];
  try {
    nodes = blockNodes(tokensOf(source));
  } catch {
    // what no parser takes apart is shown as it came
    nodes = [element('p', '', source)];
  }
  return purified(element('div', className, ...nodes));
}

function blockNodes(tokens: readonly Token[]): Child[] {
  return tokens.flatMap((token) => (token.type === 'space' ? [] : nodesOf(token as MarkedToken)));
}

function nodesOf(token: MarkedToken): Child[] {
  switch (token.type) {
    case 'heading':
      return [element(headings[token.depth - 1] ?? 'h6', '', ...inlineNodes(token.tokens))];
    case 'paragraph':
      return [element('p', '', ...inlineNodes(token.tokens))];
    case 'text':
      return token.tokens ? inlineNodes(token.tokens) : [token.text];
    case 'code':
      return [code(token)];
    case 'blockquote':
      return [element('blockquote', '', ...blockNodes(token.tokens))];
    case 'list':
      return [list(token)];
    case 'table':
      return [table(token)];
    case 'hr':
      return [element('hr')];
    default:
      return [element('p', '', ...inlineNodes([token]))];
  }
}

function code({ text, lang }: Tokens.Code): HTMLElement {
  const language = /^[\w+#.-]+/.exec(lang ?? '')?.[0] ?? '';
  const parts = codeParts(text, language.toLowerCase()).map(({ text: part, scopes }) => {
    // the theme knows highlight.js' scopes by their first word
    const scope = scopes.at(-1)?.split('.')[0];
    return scope === undefined ? part : element('span', `hl-${scope}`, part);
  });
  const pre = element('pre', '', element('code', '', ...parts));
  // what scrolls sideways can be reached and named without a mouse
  pre.tabIndex = 0;
  pre.setAttribute('role', 'group');
  pre.setAttribute('aria-label', language ? `${language} code` : 'code');
  return element('div', 'code', element('div', 'code-head', element('span', '', language || 'code')), pre);
}

function list({ ordered, start, items }: Tokens.List): HTMLElement {
  const made = ordered ? element('ol') : element('ul');
  if (ordered && typeof start === 'number' && start !== 1) made.setAttribute('start', String(start));
  for (const item of items) {
    const box = item.task ? [element('span', 'task', item.checked ? '☑ ' : '☐ ')] : [];
    made.append(element('li', item.task ? 'task-item' : '', ...box, ...blockNodes(item.tokens)));
  }
  return made;
}

function table({ header, rows }: Tokens.Table): HTMLElement {
  const head = element('tr', '', ...header.map((cell) => cellOf('th', cell)));
  const body = rows.map((row) => element('tr', '', ...row.map((cell) => cellOf('td', cell))));
  const made = element('table', '', element('thead', '', head), element('tbody', '', ...body));
  const frame = element('div', 'table', made);
  frame.tabIndex = 0;
  frame.setAttribute('role', 'group');
  frame.setAttribute('aria-label', 'table');
  return frame;
}

function cellOf(name: 'th' | 'td', { tokens, align }: Tokens.TableCell): HTMLElement {
  const cell = element(name, align && align !== 'left' ? `align-${align}` : '', ...inlineNodes(tokens));
  if (name === 'th') cell.setAttribute('scope', 'col');
  return cell;
}
