/** Text that comes a token at a time. */

/** Characters after which the rope is made one string again. */
const step = 4096;

/**
 * `text` with `part` behind it, of one piece now and then: `+=` alone makes a rope with a node a token, which takes
 * sixteen times its text for as long as nobody reads it.
 */
export function longer(text: string, part: string): string {
  const before = Math.floor(text.length / step);
  const after = Math.floor((text.length + part.length) / step);
  // joining always copies, adding never does
  return before === after ? text + part : [text, part].join('');
}
