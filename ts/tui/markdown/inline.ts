/** Inline Markdown as styled spans. */
import type { MarkedToken, Token } from 'marked';
import { span, type Span, type Style } from '../cells.js';
import { decodeEntities, safeLink } from './text.js';

/** The spans of tokens that marked has made. */
export function tokenSpans(tokens: readonly Token[], style: Style): Span[] {
  return tokens.flatMap((token) => spansOf(token as MarkedToken, style));
}

function spansOf(token: MarkedToken, style: Style): Span[] {
  switch (token.type) {
    case 'strong':
      return tokenSpans(token.tokens, { ...style, bold: true });
    case 'em':
      return tokenSpans(token.tokens, { ...style, italic: true });
    case 'del':
      return tokenSpans(token.tokens, { ...style, strike: true });
    case 'codespan':
      return [span(token.text, { ...style, role: 'code' })];
    case 'br':
      return [span('\n', style)];
    case 'link':
      return link(token.href, token.tokens, style);
    case 'image':
      return link(token.href, [{ type: 'text', raw: token.text, text: `[${token.text || 'image'}]` }], style);
    case 'checkbox':
      return [];
    case 'text':
      // a line break inside a paragraph is a space
      return token.tokens
        ? tokenSpans(token.tokens, style)
        : [span(decodeEntities(token.text).replace(/\n/g, ' '), style)];
    case 'escape':
      return [span(decodeEntities(token.text), style)];
    default:
      return [span(token.raw, style)];
  }
}

/** A link shows its text, and where the text is not the address also that: not every terminal opens links. */
function link(href: string, tokens: readonly Token[], style: Style): Span[] {
  const safe = safeLink.test(href);
  const look: Style = safe ? { ...style, role: 'link', underline: true, href } : style;
  const shown = tokenSpans(tokens, look);
  const text = shown.map((part) => part.text).join('');
  const same = [text, `mailto:${text}`, `http://${text}`].includes(href);
  return same ? shown : [...shown, span(` (${href})`, { ...style, role: 'muted' })];
}
