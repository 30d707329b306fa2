/** How roles look: one table for dark, light, sixteen colours and none. */
import type { Env } from '../terminal.js';
import type { Role, Style } from './cells.js';

export type ThemeName = 'dark' | 'light' | '16' | 'none';

/** Foreground of a role in 256 colours (dark, light) and in sixteen. */
const foregrounds: Record<Role, readonly [number, number, number]> = {
  text: [252, 235, -1],
  muted: [244, 244, 8],
  accent: [80, 30, 6],
  user: [231, 16, 6],
  heading: [117, 25, 14],
  link: [75, 26, 12],
  code: [223, 94, 3],
  error: [203, 160, 9],
  warning: [221, 136, 11],
  keyword: [176, 90, 13],
  string: [114, 28, 10],
  number: [215, 130, 11],
  comment: [244, 244, 8],
  name: [111, 25, 12],
  system: [141, 97, 5],
  history: [75, 26, 4],
  message: [114, 28, 2],
  reserve: [244, 246, 8],
};

/** Backgrounds; sixteen colours have none that every palette can read, so bars are shown in reverse there. */
const grounds: Record<NonNullable<Style['ground']>, readonly [number, number]> = {
  user: [24, 153],
  code: [235, 255],
  bar: [236, 253],
  panel: [234, 255],
  chosen: [239, 250],
};

/** The SGR parameters of a style, such as `1;38;5;80`; empty for the terminal's own look. */
export function sgr(style: Style, theme: ThemeName): string {
  const codes: (number | string)[] = [];
  if (style.bold) codes.push(1);
  if (style.italic) codes.push(3);
  if (style.underline) codes.push(4);
  const reversed = style.inverse || (theme !== 'dark' && theme !== 'light' && isBar(style.ground));
  if (reversed) codes.push(7);
  if (style.strike) codes.push(9);
  if (theme === 'none') {
    if (style.role === 'muted') codes.push(2);
    return codes.join(';');
  }
  if (style.role) codes.push(...foreground(style.role, theme, reversed));
  if (style.ground && theme !== '16') codes.push('48;5', grounds[style.ground][theme === 'dark' ? 0 : 1]);
  return codes.join(';');
}

const isBar = (ground: Style['ground']) => ground === 'bar' || ground === 'chosen';

function foreground(role: Role, theme: Exclude<ThemeName, 'none'>, reversed: boolean): (number | string)[] {
  if (theme !== '16') return ['38;5', foregrounds[role][theme === 'dark' ? 0 : 1]];
  const index = foregrounds[role][2];
  if (index < 0 || reversed) return [];
  return [index < 8 ? 30 + index : 82 + index];
}

/** The theme that the terminal's variables ask for. COLORFGBG is `foreground;background` of the palette. */
export function themeFor(env: Env, colour: boolean): ThemeName {
  if (!colour) return 'none';
  const term = env.TERM ?? '';
  const many =
    /256|direct|kitty|alacritty|ghostty|foot/.test(term) || /truecolor|24bit/.test(env.COLORTERM ?? '');
  if (!many) return '16';
  const ground = Number(env.COLORFGBG?.split(';').at(-1) ?? Number.NaN);
  return ground === 7 || ground === 15 ? 'light' : 'dark';
}
