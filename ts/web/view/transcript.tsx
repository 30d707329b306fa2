/** What was said, and what is being said. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Turn } from '../../chat/conversation.js';
import { versions } from '../../chat/conversation.js';
import type { App } from '../app.js';
import { failureInView, replyInView, turnsInView, type Failure, type Reply } from '../state/app-state.js';
import { copyText } from '../copy.js';
import { IconButton } from './controls.js';
import { Markdown } from './markdown.js';
import { Welcome } from './welcome.js';

export function Transcript({ app }: { readonly app: App }) {
  const { state } = app;
  const turns = turnsInView(state);
  const reply = replyInView(state);
  const failure = failureInView(state);
  const follow = useFollowing(state.open.id, reply?.text);
  const empty = turns.length === 0 && !reply && !failure;
  return (
    <div class="transcript" ref={follow.ref} onScroll={follow.onScroll} tabIndex={-1}>
      <h1 class="off-screen">Chat with {state.server?.name ?? 'the model'}</h1>
      {empty ? (
        <Welcome app={app} />
      ) : (
        <div
          class="column"
          role="log"
          aria-live="off"
          aria-busy={reply !== undefined}
          aria-label="Conversation"
        >
          {turns.map((turn) => (
            <SaidTurn key={`${state.open.id} ${turn.id}`} app={app} turn={turn} idle={!state.reply} />
          ))}
          {reply && <Running key="reply" reply={reply} />}
          {failure && !reply && <Failed app={app} failure={failure} />}
        </div>
      )}
      {follow.away && (
        <button type="button" class="to-end" onClick={follow.toEnd}>
          ↓ Newest
        </button>
      )}
    </div>
  );
}

/** Stays at the end while text comes, unless the reader has scrolled up. */
function useFollowing(id: string, text: string | undefined) {
  const ref = useRef<HTMLDivElement>(null);
  const [away, setAway] = useState(false);
  const atEnd = useRef(true);
  const toEnd = () => ref.current?.scrollTo({ top: ref.current.scrollHeight });
  const onScroll = () => {
    const { scrollTop, clientHeight, scrollHeight } = ref.current!;
    atEnd.current = scrollHeight - scrollTop - clientHeight < 48;
    setAway(!atEnd.current);
  };
  useLayoutEffect(() => {
    atEnd.current = true;
  }, [id, text === undefined]);
  useEffect(() => {
    if (atEnd.current) toEnd();
  });
  return { ref, away, onScroll, toEnd };
}

interface SaidProps {
  readonly app: App;
  readonly turn: Turn;
  /** No reply is under way, so that another can be asked for. */
  readonly idle: boolean;
}

function SaidTurn({ app, turn, idle }: SaidProps) {
  const { conversation } = app.state.open;
  const all = versions(conversation, turn.id);
  const at = all.findIndex(({ id }) => id === turn.id);
  const go = (step: number) => () => app.version(all[at + step]!.id);
  return (
    <article>
      <UserMessage text={turn.user}>
        <IconButton icon="copy" label="Copy message" onClick={() => void copied(app, turn.user)} />
        {!simple(app) && (
          <IconButton
            icon="edit"
            label="Edit message"
            disabled={!idle}
            onClick={() => app.set({ editing: turn.id })}
          />
        )}
      </UserMessage>
      <section class="assistant" aria-label="Assistant">
        <Markdown text={turn.assistant} open={false} />
        {app.state.open.stats[turn.id]?.stopped && <p class="stopped">Stopped</p>}
        <div class="actions">
          <IconButton icon="copy" label="Copy reply" onClick={() => void copied(app, turn.assistant)} />
          {!simple(app) && (
            <IconButton
              icon="again"
              label="Regenerate reply"
              disabled={!idle}
              onClick={() => void app.regenerate(turn.id)}
            />
          )}
          {all.length > 1 && (
            <span class="versions">
              <IconButton
                icon="left"
                label="Previous version"
                disabled={at === 0 || !idle}
                onClick={go(-1)}
              />
              <span>
                {at + 1} / {all.length}
              </span>
              <IconButton
                icon="right"
                label="Next version"
                disabled={at === all.length - 1 || !idle}
                onClick={go(1)}
              />
            </span>
          )}
        </div>
      </section>
    </article>
  );
}

const simple = (app: App) => app.state.server?.simple ?? false;

async function copied(app: App, text: string): Promise<void> {
  app.toast((await copyText(text)) ? 'Copied' : 'This browser does not let the page copy');
}

function UserMessage({
  text,
  children,
}: {
  readonly text: string;
  readonly children?: preact.ComponentChildren;
}) {
  return (
    <section class="user" aria-label="You">
      <div class="bubble">{text}</div>
      {children && <div class="actions">{children}</div>}
    </section>
  );
}

function Running({ reply }: { readonly reply: Reply }) {
  const waiting = reply.queued > 0 ? `Waiting: number ${reply.queued} in the queue` : '';
  return (
    <article>
      <UserMessage text={reply.user} />
      <section class="assistant" aria-label="Assistant">
        {reply.text === '' ? (
          <p class="thinking">
            <span class="dots" aria-hidden="true">
              <i />
              <i />
              <i />
            </span>
            {waiting || <span class="off-screen">Reading</span>}
          </p>
        ) : (
          <Markdown text={reply.text} open />
        )}
      </section>
    </article>
  );
}

function Failed({ app, failure }: { readonly app: App; readonly failure: Failure }) {
  const { message, hint } = failure.error;
  return (
    <article>
      <UserMessage text={failure.user} />
      {failure.text !== '' && (
        <section class="assistant broken" aria-label="Assistant, incomplete">
          <Markdown text={failure.text} open={false} />
        </section>
      )}
      <div class="failure" role="alert">
        <p>
          <strong>{message}</strong>
          {hint && <span>{hint}</span>}
        </p>
        <div class="buttons">
          <button type="button" class="primary" onClick={() => void app.retry()}>
            Retry
          </button>
          <button type="button" onClick={() => app.dismiss()}>
            Dismiss
          </button>
        </div>
      </div>
    </article>
  );
}
