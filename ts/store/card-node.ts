/** A mapping of a card's YAML that knows its own place: every complaint names the file, the line and the key. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type YAMLMap } from 'yaml';
import { AxllmError } from '../errors.js';

const cardHint = 'docs/cards.md explains the keys of a card';
/** No card comes near it; a parser should not be fed whatever a path leads to. */
export const maxCardBytes = 1 << 20;

interface Document {
  readonly where: string;
  readonly lines: LineCounter;
  readonly warnings: string[];
}

/** Parses the text; every scalar stays text, so that a checksum of digits only does not become a number. */
export function parseYaml(text: string, where: string, warnings: string[]): CardNode {
  const lines = new LineCounter();
  const options = { schema: 'failsafe', lineCounter: lines, uniqueKeys: true, prettyErrors: false } as const;
  const parsed = parseDocument(text.replace(/^\ufeff/, ''), options);
  const [error] = [...parsed.errors, ...parsed.warnings];
  if (error) {
    const { line } = lines.linePos(error.pos[0]);
    throw refuse(`${where}:${line}: not YAML: ${error.message.split('\n', 1)[0]}`, error);
  }
  visit(parsed, (_, node) => {
    const fancy = isAlias(node) || (isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined);
    if (!fancy) return;
    const { line } = lines.linePos((node as { range?: [number] }).range?.[0] ?? 0);
    throw refuse(`${where}:${line}: anchors and aliases are not for cards`);
  });
  return new CardNode(parsed.contents, { where, lines, warnings }, '');
}

function refuse(message: string, cause?: unknown): AxllmError {
  return new AxllmError('bad_card', message, { cause, hint: cardHint });
}

export class CardNode {
  private readonly map: YAMLMap;
  private readonly asked = new Set<string>();

  constructor(
    node: unknown,
    private readonly document: Document,
    private readonly path: string,
  ) {
    if (!isMap(node)) throw this.complain(node, path || 'the document', 'a mapping');
    this.map = node;
  }

  keys(): string[] {
    return this.map.items.map(({ key }) => String(isScalar(key) ? key.value : key));
  }

  has(key: string): boolean {
    this.asked.add(key);
    const value = this.map.get(key);
    return value !== undefined && value !== null && value !== '';
  }

  node(key: string): CardNode {
    this.asked.add(key);
    const value: unknown = this.map.get(key, true);
    if (!isMap(value)) throw this.wrong(key, 'a mapping');
    return new CardNode(value, this.document, this.at(key));
  }

  optionalNode(key: string): CardNode | undefined {
    return this.has(key) ? this.node(key) : undefined;
  }

  /** All that is in it, for those who check it themselves. */
  record(): Record<string, unknown> {
    for (const key of this.keys()) this.asked.add(key);
    return this.map.toJSON() as Record<string, unknown>;
  }

  list(key: string): CardNode[] {
    return this.items(key).map((each, at) => new CardNode(each, this.document, this.at(`${key}[${at}]`)));
  }

  texts(key: string): string[] {
    return this.items(key).map((each, at) => {
      if (!isScalar(each) || typeof each.value !== 'string')
        throw this.complain(each, this.at(`${key}[${at}]`), 'a text');
      return each.value;
    });
  }

  private items(key: string): unknown[] {
    this.asked.add(key);
    const value: unknown = this.map.get(key, true);
    if (!isSeq(value) || value.items.length === 0) throw this.wrong(key, 'a list');
    return value.items;
  }

  text(key: string): string {
    this.asked.add(key);
    const value = this.map.get(key);
    if (typeof value !== 'string') throw this.wrong(key, 'a text');
    return value;
  }

  optionalText(key: string): string | undefined {
    return this.has(key) ? this.text(key) : undefined;
  }

  optionalNumber(key: string, most = Number.MAX_SAFE_INTEGER): number | undefined {
    if (!this.has(key)) return undefined;
    const text = this.map.get(key);
    const value = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : 0;
    if (value <= 0) throw this.wrong(key, 'a positive whole number');
    if (value > most) throw this.wrong(key, `at most ${most}`);
    return value;
  }

  /** A warning for each key that nobody has asked for. */
  warnOfOthers(): void {
    for (const key of this.keys()) {
      if (this.asked.has(key)) continue;
      this.document.warnings.push(`${this.place(key)}: the key ${JSON.stringify(this.at(key))} is not known`);
    }
  }

  /** The error for a key whose value is not `wanted`. */
  wrong(key: string, wanted: string): AxllmError {
    return this.complain(this.map.get(key, true), this.at(key), wanted, key);
  }

  private complain(node: unknown, name: string, wanted: string, key?: string): AxllmError {
    const got = isScalar(node) ? node.value : isMap(node) ? 'a mapping' : isSeq(node) ? 'a list' : undefined;
    const shown = isScalar(node) ? JSON.stringify(got) : (got ?? 'missing');
    const place = key === undefined ? this.placeOf(node) : this.place(key);
    const text = node === undefined || node === null ? 'is missing' : `must be ${wanted}, not ${shown}`;
    return refuse(`${place}: ${name} ${text}`);
  }

  /** File and line of a key; of the mapping, where the key is missing. */
  private place(key: string): string {
    const pair = this.map.items.find(({ key: each }) => isScalar(each) && each.value === key);
    return this.placeOf(pair?.key ?? this.map);
  }

  private placeOf(node: unknown): string {
    const { where, lines } = this.document;
    const start = (node as { range?: [number] } | undefined)?.range?.[0];
    return start === undefined ? where : `${where}:${lines.linePos(start).line}`;
  }

  private at(key: string): string {
    return [this.path, key].filter(Boolean).join('.');
  }
}
