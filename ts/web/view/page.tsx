/** The whole page. */
import { useEffect, useState } from 'preact/hooks';
import type { App } from '../app.js';
import { replyInView, turnsInView } from '../state/app-state.js';
import { Composer } from './composer.js';
import { Header } from './header.js';
import { SettingsDialog, Temperature } from './settings-dialog.js';
import { ShareDialog } from './share-dialog.js';
import { Sidebar } from './sidebar.js';
import { Transcript } from './transcript.js';
import { Mark } from './welcome.js';

export function Page({ app }: { readonly app: App }) {
  const [, redraw] = useState(0);
  useEffect(() => app.subscribe(() => redraw((n) => n + 1)), [app]);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => escape(app, event);
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [app]);
  const { link, server, panel, settings } = app.state;
  useEffect(() => {
    document.documentElement.dataset.theme = settings.theme;
  }, [settings.theme]);
  useEffect(() => {
    if (server) document.title = `${server.name} · axllm`;
  }, [server?.name]);

  if (link === 'locked') return <Locked app={app} />;
  return (
    <div class={server?.simple ? 'page simple' : 'page'}>
      {server && !server.simple && <Sidebar app={app} />}
      <main class="chat">
        <Header app={app} />
        {link === 'down' && <Down app={app} />}
        <Transcript app={app} />
        {server?.simple && <Temperature app={app} />}
        <Composer app={app} />
      </main>
      {panel === 'settings' && <SettingsDialog app={app} />}
      {panel === 'share' && server?.share && <ShareDialog app={app} share={server.share} />}
      <Announcer app={app} />
      <Toast app={app} />
    </div>
  );
}

/** Esc ends what is under way, the nearest first: a dialog by itself, an edit, a reply; else it clears. */
function escape(app: App, event: KeyboardEvent): void {
  if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing) return;
  if (document.querySelector('dialog[open]')) return;
  const { panel, editing } = app.state;
  if (panel) app.panel(undefined);
  else if (editing !== undefined) app.set({ editing: undefined });
  else if (replyInView(app.state)) app.stop();
  else app.clear();
}

/** What a screen reader is told: that a reply is coming, and the reply once it is whole. */
function Announcer({ app }: { readonly app: App }) {
  const reply = replyInView(app.state);
  const [text, setText] = useState('');
  useEffect(() => {
    if (reply) setText('The assistant is answering');
    else if (text !== '') setText(turnsInView(app.state).at(-1)?.assistant ?? '');
  }, [reply === undefined]);
  return (
    <div class="off-screen" role="status">
      {text}
    </div>
  );
}

function Toast({ app }: { readonly app: App }) {
  const { toast } = app.state;
  return (
    <div class="toasts" role="status">
      {toast && (
        <p class="toast">
          {toast.text}
          {toast.undo && (
            <button type="button" onClick={() => app.undo()}>
              Undo
            </button>
          )}
        </p>
      )}
    </div>
  );
}

function Down({ app }: { readonly app: App }) {
  return (
    <div class="down" role="alert">
      <span>The server does not answer. Is axllm still running there?</span>
      <button type="button" onClick={() => void app.connect()}>
        Retry
      </button>
    </div>
  );
}

/** The page without a valid link. */
function Locked({ app }: { readonly app: App }) {
  const [key, setKey] = useState('');
  const { lockedBecause } = app.state;
  return (
    <main class="locked">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void app.connect(key.replace(/^.*#/, '').trim());
        }}
      >
        <Mark />
        <h1>This chat needs its link</h1>
        <p>Open the whole link that axllm printed, with what follows the #, or paste it here.</p>
        <label class="off-screen" for="key">
          Link or key
        </label>
        <input
          id="key"
          type="password"
          autocomplete="off"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={key.trim() === ''}>
          Open
        </button>
        {lockedBecause && <p role="alert">{lockedBecause}</p>}
      </form>
    </main>
  );
}
