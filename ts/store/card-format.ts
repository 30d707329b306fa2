/** What the keys of a card mean: checked one by one, so that an error says which and where. */
import type { Build, Card, Precompiled, RemoteFile, Source } from './cards.js';
import { parseYaml, type CardNode } from './card-node.js';

const format = '1.0.0';
const mostTokens = 1 << 24;
const mostMemoryGb = 4096;

/** Parses the text of a card; `where` is what errors call it. What is odd but harmless is told to `warn`. */
export function parseCard(text: string, where: string, warn?: (text: string) => void): Card {
  const warnings: string[] = [];
  const top = parseYaml(text, where, warnings);
  if (top.text('axelera-model-format') !== format) throw top.wrong('axelera-model-format', format);
  const models = top.node('models');
  const [name, ...more] = models.keys();
  if (!name || more.length > 0) throw top.wrong('models', 'exactly one entry');
  if (!/^\w[\w.-]*$/.test(name) || name.length > 100)
    throw models.wrong(name, 'named by letters, digits, - _ .');
  const model = models.node(name);
  if (model.text('task_category') !== 'LanguageModel') throw model.wrong('task_category', 'LanguageModel');
  const kwargs = model.node('extra_kwargs');
  const llm = kwargs.node('llm');
  const card: Card = {
    name,
    description: top.optionalText('description') ?? top.optionalText('name') ?? '',
    modelName: repository(llm, 'model_name'),
    contextLength: llm.optionalNumber('max_tokens', mostTokens),
    minResponseSpace: llm.optionalNumber('min_response_space', mostTokens),
    requiredMemoryGb: llm.optionalNumber('ddr_requirement_gb', mostMemoryGb) ?? 4,
    systemPrompt: llm.optionalText('system_prompt'),
    options: llm.optionalNode('options')?.record() ?? {},
    weights: llm.has('weights') ? weights(llm.node('weights')) : undefined,
    precompiled: model.has('precompiled_url') ? precompiled(name, model, llm) : undefined,
  };
  top.has('name');
  for (const node of [top, model, kwargs, llm]) node.warnOfOthers();
  if (warn) warnings.forEach(warn);
  return card;
}

function repository(node: CardNode, key: string): string | undefined {
  const name = node.optionalText(key);
  if (name !== undefined && !isRepository(name)) throw node.wrong(key, 'OWNER/NAME of the hub');
  return name;
}

/** Whether `text` can be the name of a repository of the hub. */
export function isRepository(text: string): boolean {
  return /^[\w][\w.-]{0,95}\/[\w][\w.-]{0,95}$/.test(text) && !text.includes('..') && !text.includes('--');
}

function precompiled(name: string, model: CardNode, llm: CardNode): Precompiled {
  const path = safePath(model, 'precompiled_path').replace(/^build\//, '');
  const first: Build = {
    name,
    axmodel: model.optionalNumber('precompiled_axmodel', 99),
    archive: byUrl(model, 'precompiled'),
    path,
  };
  const others = model.has('precompiled_others') ? model.list('precompiled_others') : [];
  return {
    builds: [first, ...others.map((node) => otherBuild(node, first))],
    embeddings: byUrl(llm, 'embeddings'),
    tokenizer: llm.has('tokenizer_url') ? byUrl(llm, 'tokenizer') : undefined,
  };
}

/** Beside the first one, in a folder of its own, so that an update of the runtime does not fetch again. */
function otherBuild(node: CardNode, { name, path }: Build): Build {
  const axmodel = node.optionalNumber('axmodel', 99);
  if (axmodel === undefined) throw node.wrong('axmodel', 'the version of the compiled-model format');
  const build = { name, axmodel, archive: byUrl(node, ''), path: `axmodel-${axmodel}/${path}` };
  node.warnOfOthers();
  return build;
}

function byUrl(node: CardNode, stem: string): RemoteFile {
  const key = (name: string) => (stem ? `${stem}_${name}` : name);
  const md5 = hash(node, key('md5'), 32);
  const sha256 = node.has(key('sha256')) ? hash(node, key('sha256'), 64) : undefined;
  const mirrors = node.has(key('mirrors')) ? node.texts(key('mirrors')) : [];
  const urls = [node.text(key('url')), ...mirrors];
  for (const url of urls) {
    if (!mayFetch(url, sha256))
      throw node.wrong(url === urls[0] ? key('url') : key('mirrors'), 'an https address');
  }
  return {
    file: fileNameOf(urls[0]!) ?? refused(node, key('url')),
    md5,
    sha256,
    size: node.optionalNumber(key('size')),
    sources: urls.map((url) => ({ kind: 'url', url })),
  };
}

function refused(node: CardNode, key: string): never {
  throw node.wrong(key, 'an address that ends with a plain file name');
}

/** MD5 proves nothing to someone who listens in: without encryption it takes a SHA-256, or this very machine. */
function mayFetch(url: string, sha256: string | undefined): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username || password) return false;
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && (loopback || sha256 !== undefined));
}

function fileNameOf(url: string): string | undefined {
  try {
    const name = decodeURIComponent(new URL(url).pathname.split('/').pop() ?? '');
    return isPlainName(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

function isPlainName(name: string): boolean {
  return /^[\w][\w.+@=, -]*$/.test(name) && Buffer.byteLength(name) <= 200 && !/\.(part|lock)$/.test(name);
}

function weights(node: CardNode): RemoteFile {
  const file = safePath(node, 'file');
  const remote: RemoteFile = {
    file,
    size: node.optionalNumber('size'),
    md5: node.has('md5') ? hash(node, 'md5', 32) : undefined,
    sha256: node.has('sha256') ? hash(node, 'sha256', 64) : undefined,
    sources: node.list('sources').map((each) => source(each, node.has('sha256') ? '' : undefined)),
  };
  node.warnOfOthers();
  return remote;
}

function source(node: CardNode, sha256: string | undefined): Source {
  const found = anySource(node, sha256);
  node.warnOfOthers();
  return found;
}

function anySource(node: CardNode, sha256: string | undefined): Source {
  if (node.has('url')) {
    const url = node.text('url');
    if (!mayFetch(url, sha256)) throw node.wrong('url', 'an https address');
    return { kind: 'url', url };
  }
  if (node.has('hub')) {
    const revision = node.optionalText('revision');
    if (revision !== undefined && !/^[\w][\w./-]*$/.test(revision)) throw node.wrong('revision', 'a commit');
    return { kind: 'hub', repo: repository(node, 'hub')!, file: safePath(node, 'file'), revision };
  }
  const requirement = node.text('python');
  if (!/^\w[\w.-]*==[\w.]+$/.test(requirement)) throw node.wrong('python', 'package==version');
  return { kind: 'python', requirement, member: node.text('member'), size: node.optionalNumber('size') };
}

function safePath(node: CardNode, key: string): string {
  const path = node.text(key);
  const parts = path.split('/');
  const safe = parts.length <= 8 && parts.every((part) => isPlainName(part));
  if (!safe) throw node.wrong(key, 'a relative path of plain names, without ..');
  return path;
}

function hash(node: CardNode, key: string, digits: number): string {
  const text = node.text(key).toLowerCase();
  if (!new RegExp(`^[0-9a-f]{${digits}}$`).test(text)) throw node.wrong(key, `${digits} hex digits`);
  return text;
}
