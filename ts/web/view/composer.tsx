/** Where a message is written, with the status line below. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { countTokens } from '../api.js';
import type { App } from '../app.js';
import { canSend, statsInView, statusLine } from '../state/app-state.js';
import { Icon } from './icons.js';

/** Below this, counting would say nothing that the meter shows. */
const countAfterMs = 600;

export function Composer({ app }: { readonly app: App }) {
  const { state } = app;
  const [text, setText] = useState('');
  const field = useRef<HTMLTextAreaElement>(null);
  const { editing, open, reply } = state;

  // an edited message comes into the field; leaving the edit empties it
  useLayoutEffect(() => {
    setText(editing === undefined ? app.takeUnsent() : (open.conversation.turns[editing]?.user ?? ''));
    field.current?.focus();
  }, [editing, open.id]);
  useLayoutEffect(() => grow(field.current!), [text]);
  useDraftCount(app, text);

  const send = () => {
    if (text.trim() === '' || !canSend(state)) return;
    setText('');
    void app.send(text);
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // on a phone Enter is the only way to a new line
    const plain = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (!plain || matchMedia('(pointer: coarse)').matches) return;
    event.preventDefault();
    send();
  };
  return (
    <div class="composer">
      {editing !== undefined && (
        <p class="editing">
          Editing an earlier message: what follows it stays as another version.
          <button type="button" class="plain" onClick={() => app.set({ editing: undefined })}>
            Cancel
          </button>
        </p>
      )}
      <form
        class="field"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <label class="off-screen" for="message">
          Message
        </label>
        <textarea
          id="message"
          ref={field}
          rows={1}
          placeholder={`Message ${state.server?.name ?? ''}`.trim()}
          value={text}
          enterkeyhint="enter"
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {reply ? (
          <button type="button" class="send" aria-label="Stop" title="Stop (Esc)" onClick={() => app.stop()}>
            <Icon name="stop" />
          </button>
        ) : (
          <button
            type="submit"
            class="send"
            aria-label="Send"
            title="Send"
            disabled={text.trim() === '' || !canSend(state)}
          >
            <Icon name="send" />
          </button>
        )}
      </form>
      <Below app={app} />
    </div>
  );
}

function Below({ app }: { readonly app: App }) {
  const stats = statsInView(app.state);
  const dropped = stats?.droppedTurns ?? 0;
  return (
    <p class="status">
      <span class="figures">{stats ? statusLine(stats) : ''}</span>
      {dropped > 0 && (
        <span class="dropped">
          {dropped === 1 ? '1 earlier turn' : `${dropped} earlier turns`} no longer seen
        </span>
      )}
      <button type="button" class="plain" onClick={() => app.clear()}>
        Clear <kbd>Esc</kbd>
      </button>
    </p>
  );
}

function grow(field: HTMLTextAreaElement): void {
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight}px`;
}

/** Counts the unsent message for the meter, once typing pauses. */
function useDraftCount(app: App, text: string): void {
  useEffect(() => {
    if (text === '') return app.state.draftTokens === 0 ? undefined : app.set({ draftTokens: 0 });
    const abort = new AbortController();
    const timer = setTimeout(() => {
      if (!canSend(app.state)) return;
      // the meter can do without: it only becomes exact a little later
      countTokens(text, abort.signal).then(
        (draftTokens) => app.set({ draftTokens }),
        () => undefined,
      );
    }, countAfterMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
}
