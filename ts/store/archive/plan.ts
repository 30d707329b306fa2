/** What an archive may contain: every entry is checked before the first byte lands in place. */
import { AxllmError } from '../../errors.js';

/** Bounds that no published model comes near. */
export interface Limits {
  readonly entries: number;
  readonly depth: number;
  /** Bytes of all files together. */
  readonly total: number;
}

export const maxEntries = 10_000;
export const maxDepth = 16;

/** One regular file or folder of an archive, its name already checked. */
export interface PlannedEntry {
  readonly path: string;
  readonly kind: 'file' | 'folder';
  readonly size: number;
}

/** An archive that is refused; `why` names the entry. */
export function badArchive(why: string): AxllmError {
  return new AxllmError('bad_archive', `the archive is refused: ${why}`, {
    hint: 'nothing of it was kept; fetch it again, and if it stays so tell whoever published it',
  });
}

// what the store itself keeps beside the files: an archive that brought them could vouch for itself
const reserved = /^(\..*|.*\.(part|lock|md5|sha256|resume)|downloaded_models\.json|verified\.json)$/i;

/** Collects the entries of one archive and refuses it at the first that does not fit. */
export class Plan {
  readonly entries: PlannedEntry[] = [];
  private readonly kinds = new Map<string, { spelling: string; kind: 'file' | 'folder'; listed: boolean }>();
  private total = 0;

  constructor(private readonly limits: Limits) {}

  add(name: string, kind: 'file' | 'folder', size: number): PlannedEntry {
    const path = checkedPath(name, this.limits.depth);
    if (this.entries.length >= this.limits.entries)
      throw badArchive(`it has more than ${this.limits.entries} entries`);
    if (!Number.isSafeInteger(size) || size < 0) throw badArchive(`${quote(name)} has no valid size`);
    if (kind === 'folder' && size > 0) throw badArchive(`the folder ${quote(name)} has contents of its own`);
    this.total += size;
    if (this.total > this.limits.total)
      throw badArchive(`its files are larger than ${this.limits.total} bytes together`);
    const parts = path.split('/');
    for (let at = 1; at < parts.length; at++) this.claim(parts.slice(0, at).join('/'), 'folder', false);
    this.claim(path, kind, true);
    const entry = { path, kind, size };
    this.entries.push(entry);
    return entry;
  }

  /** Names that some file systems take for one another are the same name here. */
  private claim(path: string, kind: 'file' | 'folder', listed: boolean): void {
    const key = path.normalize('NFKC').toLowerCase();
    const known = this.kinds.get(key);
    if (!known) return void this.kinds.set(key, { spelling: path, kind, listed });
    if (known.spelling !== path) throw badArchive(`${quote(known.spelling)} and ${quote(path)} collide`);
    if (known.kind !== kind) throw badArchive(`${quote(path)} is a file and a folder`);
    if (listed && known.listed) throw badArchive(`${quote(path)} is in it twice`);
    known.listed ||= listed;
  }
}

function checkedPath(name: string, depth: number): string {
  const path = name.replace(/^(\.\/)+/, '').replace(/\/$/, '');
  const refuse = (why: string) => badArchive(`the name ${quote(name)} ${why}`);
  if (path === '' || path === '.') throw refuse('is empty');
  if (/[\p{Cc}\p{Cf}\p{Cs}\ufffd\p{Zl}\p{Zp}]/u.test(path)) throw refuse('has characters that do not print');
  if (path.startsWith('/')) throw refuse('is absolute');
  if (/[\\:*?"<>|]/.test(path)) throw refuse('has a character that is not portable');
  const parts = path.split('/');
  if (parts.length > depth) throw refuse(`is deeper than ${depth} folders`);
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..') throw refuse('steps outside or stands still');
    if (Buffer.byteLength(part) > 200) throw refuse('is too long');
    if (/[. ]$/.test(part) || part.startsWith(' ')) throw refuse('begins or ends with a blank or a dot');
    if (/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(part)) throw refuse('is a device on other systems');
    if (reserved.test(part)) throw refuse('is one that the store keeps for itself');
  }
  return path;
}

function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}
