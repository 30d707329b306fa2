/** Code in the parts that highlight.js finds; the terminal and the page give them their colours. */
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

/** A piece of code that has one look. */
export interface CodePart {
  readonly text: string;
  /** highlight.js' own names, such as `title.function`, the innermost last. */
  readonly scopes: readonly string[];
}

/** What highlight.js emits: a tree of scopes with text at the leaves. */
interface Scope {
  readonly scope?: string;
  readonly children: readonly (Scope | string)[];
}

/** The parts of `code`; in a language that no grammar knows it is one plain part. */
export function codeParts(code: string, language: string): CodePart[] {
  if (!hljs.getLanguage(language)) return [{ text: code, scopes: [] }];
  // the tree is the library's own emitter; its HTML would have to be taken apart again
  const { _emitter } = hljs.highlight(code, { language, ignoreIllegals: true }) as unknown as {
    _emitter: { rootNode: Scope };
  };
  const parts: CodePart[] = [];
  const walk = (node: Scope | string, scopes: readonly string[]): void => {
    if (typeof node === 'string') {
      if (node !== '') parts.push({ text: node, scopes });
      return;
    }
    const own = node.scope === undefined ? scopes : [...scopes, node.scope];
    for (const child of node.children) walk(child, own);
  };
  walk(_emitter.rootNode, []);
  return parts;
}
