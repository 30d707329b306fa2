/**
 * Model text is untrusted: on a terminal it could move the cursor, set the clipboard or reorder words. Every
 * C0 control except newline and tab, DEL, the C1 controls, bidi and annotation controls and the line separators
 * becomes a
 * visible mark. Each character is judged alone, so the result never depends on how the text was cut; only a
 * surrogate pair has to be kept together, which {@link createSanitiser} does.
 */
const unsafe =
  // oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** `text` with everything that could drive a terminal made visible. */
export function sanitise(text: string): string {
  return text.replace(unsafe, mark);
}

/** `value` as JSON that drives no terminal either; read back, it is the same. */
export function safeJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, undefined, indent);
  // JSON itself escapes C0 controls and lone surrogates; the newlines are its own
  return json.replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A sanitiser for text in pieces: the pieces' results, joined, equal the result of the whole. */
export function createSanitiser(): { push(chunk: string): string; end(): string } {
  let held = '';
  return {
    push(chunk) {
      const text = held + chunk;
      const last = text.charCodeAt(text.length - 1);
      held = last >= 0xd800 && last <= 0xdbff ? text.slice(-1) : '';
      return sanitise(held ? text.slice(0, -1) : text);
    },
    end() {
      const rest = sanitise(held);
      held = '';
      return rest;
    },
  };
}

function mark(character: string): string {
  const code = character.charCodeAt(0);
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  if (code < 0x20) return `^${String.fromCharCode(code + 0x40)}`;
  if (code === 0x7f) return '^?';
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
}
