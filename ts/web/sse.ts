/** Server-sent events out of a byte stream, however it was cut. */

/** What {@link readEvents} gives: the data of an event, or the text of a comment line. */
export type Sent =
  { readonly kind: 'data'; readonly data: string } | { readonly kind: 'comment'; readonly text: string };

/** Events of one stream; fields other than `data` are not looked at. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<Sent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const raw of lines) {
        const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
        if (line.startsWith(':')) yield { kind: 'comment', text: line.slice(1).trim() };
        else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
        else if (line === '' && data.length > 0) {
          yield { kind: 'data', data: data.join('\n') };
          data = [];
        }
      }
      // an event that its blank line never followed is not complete
      if (done) return;
    }
  } finally {
    // leaving early ends the request, and with it the reply
    await reader.cancel().catch(() => undefined);
  }
}
