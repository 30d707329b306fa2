/** Colours of code in the terminal: one map gives each part its role. */
import { span, type Role, type Span, type Style } from '../cells.js';
import { codeParts } from './scopes.js';

const roles: Record<string, Role> = {
  keyword: 'keyword',
  literal: 'number',
  number: 'number',
  string: 'string',
  regexp: 'string',
  char: 'string',
  comment: 'comment',
  quote: 'comment',
  doctag: 'comment',
  meta: 'comment',
  title: 'name',
  function: 'name',
  class: 'name',
  built_in: 'name',
  type: 'name',
  attr: 'name',
  attribute: 'name',
  tag: 'keyword',
  name: 'keyword',
  section: 'heading',
  symbol: 'number',
  bullet: 'number',
  variable: 'name',
  addition: 'string',
  deletion: 'error',
};

/** `code` in its colours; text that no grammar knows stays plain. */
export function highlight(code: string, language: string): Span[] {
  const ground: Style = { role: 'text', ground: 'code' };
  return codeParts(code, language).map(({ text, scopes }) => {
    const role = scopes.map((scope) => roles[scope.split('.')[0]!]).findLast((known) => known !== undefined);
    return span(text, role ? { ...ground, role } : ground);
  });
}
