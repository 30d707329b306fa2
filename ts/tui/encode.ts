/** A row of cells as bytes. Where terminals disagree about a character's width, the next cell is addressed anew. */
import { clustersOf, isSimple, type Line } from './cells.js';
import { sgr, type ThemeName } from './theme.js';

const csi = '\u001b[';

/** What a terminal can show beyond text. */
export interface Abilities {
  readonly theme: ThemeName;
  /** OSC 8. */
  readonly links: boolean;
}

/**
 * Characters whose width every terminal knows: one code point, and either narrow below the symbols, box drawing, or
 * an ideograph. All others (emoji, joined and combined characters) are placed with their cells cleared before.
 */
function isPlain(cluster: string, width: number): boolean {
  const code = cluster.codePointAt(0)!;
  if (cluster.length !== (code > 0xffff ? 2 : 1)) return false;
  if (width === 1) return code < 0x2600;
  return width === 2 && ((code >= 0x3041 && code <= 0x9fff) || (code >= 0xac00 && code <= 0xd7a3));
}

/** The bytes of one row, from its first column on; cells that the line leaves out are blank. */
export function encode(line: Line, columns: number, { theme, links }: Abilities): string {
  let bytes = '';
  let column = 0;
  let look = '';
  for (const { text, style } of line) {
    if (text === '') continue;
    const wanted = sgr(style, theme);
    if (wanted !== look) bytes += wanted === '' ? `${csi}0m` : `${csi}0;${wanted}m`;
    look = wanted;
    const link = links && style.href !== undefined;
    if (link) bytes += `\u001b]8;;${style.href}\u001b\\`;
    if (isSimple(text)) {
      bytes += text;
      column += text.length;
    } else {
      for (const [cluster, width] of clustersOf(text)) {
        const end = column + width;
        if (isPlain(cluster, width)) bytes += cluster;
        else
          bytes += `${' '.repeat(width)}${csi}${column + 1}G${cluster}${csi}${Math.min(end, columns - 1) + 1}G`;
        column = end;
      }
    }
    if (link) bytes += '\u001b]8;;\u001b\\';
  }
  if (look !== '') bytes += `${csi}0m`;
  // in the last column's waiting state this would erase the last cell
  if (column < columns) bytes += `${csi}K`;
  return bytes;
}
