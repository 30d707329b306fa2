/** Colours of code: highlight.js finds the parts, one map gives each its role. */
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import csharp from 'highlight.js/lib/languages/csharp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import kotlin from 'highlight.js/lib/languages/kotlin';
import php from 'highlight.js/lib/languages/php';
import python from 'highlight.js/lib/languages/python';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import swift from 'highlight.js/lib/languages/swift';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { span, type Role, type Span, type Style } from '../cells.js';

const languages = {
  bash,
  c,
  cpp,
  csharp,
  css,
  diff,
  go,
  ini,
  java,
  javascript,
  json,
  kotlin,
  php,
  python,
  ruby,
  rust,
  sql,
  swift,
  typescript,
  xml,
  yaml,
};
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

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

/** What highlight.js emits: a tree of scopes with text at the leaves. */
interface Scope {
  readonly scope?: string;
  readonly children: readonly (Scope | string)[];
}

/** `code` in its colours; text that no grammar knows stays plain. */
export function highlight(code: string, language: string): Span[] {
  const ground: Style = { role: 'text', ground: 'code' };
  if (!hljs.getLanguage(language)) return [span(code, ground)];
  // the tree is the library's own emitter; its HTML would have to be taken apart again
  const { _emitter } = hljs.highlight(code, { language, ignoreIllegals: true }) as unknown as {
    _emitter: { rootNode: Scope };
  };
  const spans: Span[] = [];
  const walk = (node: Scope | string, style: Style): void => {
    if (typeof node === 'string') {
      if (node !== '') spans.push(span(node, style));
      return;
    }
    const role = node.scope === undefined ? undefined : roles[node.scope.split('.')[0]!];
    const own = role ? { ...ground, role } : style;
    for (const child of node.children) walk(child, own);
  };
  walk(_emitter.rootNode, ground);
  return spans;
}
