/** Texts that a model may write to drive a terminal or to break a screen. */
export const hostile: Readonly<Record<string, string>> = {
  'escape sequences':
    'a\u001b[2J\u001b]0;title\u0007b\u009b31mc\u0090q\u009cd\u001b]52;c;aGk=\u0007\u001b[?1049l\u001b[?1000h\u001bcx\re\b\u007f',
  'an unfinished sequence': 'a\u001b]0;title',
  'blessed tags': '{red-fg}a{/red-fg} {bold}b{/} {escape}',
  bidi: 'a\u202eb\u2066c\u200fd\u2028e',
  'a long line': 'x'.repeat(10_000),
  '100 KB without newline': 'word '.repeat(20_000).trimEnd(),
  zalgo: `z${'\u0301\u0302\u0303'.repeat(30)}a${'\u0488'.repeat(50)}`,
};
