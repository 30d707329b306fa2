/** Inline Markdown as nodes. */
import type { MarkedToken, Token } from 'marked';
import { decodeEntities, safeLink } from '../../tui/markdown/text.js';
import { element, type Child } from './dom.js';

/** The nodes of tokens that marked has made. */
export function inlineNodes(tokens: readonly Token[]): Child[] {
  return tokens.flatMap((token) => nodesOf(token as MarkedToken));
}

function nodesOf(token: MarkedToken): Child[] {
  switch (token.type) {
    case 'strong':
    case 'em':
    case 'del':
      return [element(token.type, '', ...inlineNodes(token.tokens))];
    case 'codespan':
      return [element('code', '', token.text)];
    case 'br':
      return [element('br')];
    case 'link':
      return link(token.href, inlineNodes(token.tokens));
    case 'image':
      // never loaded: the address of an image can carry what was said to whoever it names
      return link(token.href, [`image: ${token.text || token.href}`]);
    case 'checkbox':
      return [];
    case 'text':
      return token.tokens ? inlineNodes(token.tokens) : [decodeEntities(token.text)];
    case 'escape':
      return [decodeEntities(token.text)];
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw.trim()) ? [element('br')] : [token.raw];
    default:
      return [token.raw];
  }
}

/** A link that opens elsewhere and says where it leads; an address of another kind stays text. */
function link(href: string, children: Child[]): Child[] {
  if (!safeLink.test(href)) return [...children, ` (${href})`];
  const made = element('a', '', ...children);
  made.href = href;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  return [made];
}
