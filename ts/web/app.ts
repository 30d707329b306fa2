/** What the page does: one state, and the actions that change it. Draws nothing. */
import { before, switchTo, withSystem } from '../chat/conversation.js';
import { asAxllmError } from '../errors.js';
import type { UiState } from '../server/page-state.js';
import { ApiError, fetchState, openSession } from './api.js';
import { converse, stopped, withReply } from './converse.js';
import {
  canSend,
  entryInView,
  initialState,
  replyInView,
  turnsInView,
  type AppState,
  type Panel,
} from './state/app-state.js';
import { exported, imported } from './state/exchange.js';
import { clearedEntry, entryOf, newEntry, withEntry, withoutEntry, type Entry } from './state/library.js';
import { noSettings, readKept, type PageSettings } from './state/settings.js';
import * as storage from './state/storage.js';

const pollMs = 400;
const toastMs = 6000;

/** Why a reply is ended whose conversation is not wanted any more. */
const discarded = 'discarded';

export class App {
  state: AppState;
  private readonly listeners = new Set<() => void>();
  private stopReply: AbortController | undefined;
  private unsent: storage.Unsent | undefined;
  private toastTimer: ReturnType<typeof setTimeout> | undefined;

  /** `store` is the browser's, `tab` this tab's alone. */
  constructor(
    private readonly store: storage.Store,
    private readonly tab: storage.Store,
  ) {
    const kept = readKept(storage.readSettings(store));
    this.state = initialState(storage.readLibrary(store), kept, newId(), Date.now());
    this.unsent = storage.takeUnsent(tab);
    if (this.unsent && !entryOf(this.state.library, this.unsent.id)) this.newChat();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  set(change: Partial<AppState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }

  /** Gives the link's secret for a cookie, if there is one, then follows the server until it is ready. */
  async connect(key?: string): Promise<void> {
    this.set({ link: 'connecting' });
    try {
      if (key !== undefined) await openSession(key);
      for (;;) {
        const server = await this.serverState();
        this.set({ link: 'up', server });
        if (server.phase === 'failed') return;
        if (server.phase === 'ready' && server.share?.phase !== 'opening') return;
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    } catch (error) {
      if (error instanceof ApiError && [401, 403].includes(error.status)) this.lock(error, key);
      else this.set({ link: 'down' });
    }
  }

  /**
   * A connection that breaks, as one does that the server had just let go, is not yet a server that is gone; a browser
   * keeps up to six of them.
   */
  private async serverState(): Promise<UiState> {
    for (let left = 6; ; left -= 1) {
      try {
        return await fetchState();
      } catch (error) {
        if (left === 0 || !(error instanceof ApiError) || error.status !== 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    }
  }

  private lock({ message, hint }: ApiError, key: string | undefined): void {
    this.set({ link: 'locked', lockedBecause: key === undefined ? '' : [message, hint].join(': ') });
  }

  /** Sends `text` at the end of the branch in view, or in the place of the turn being edited. */
  async send(text: string): Promise<void> {
    const { editing, open } = this.state;
    if (text.trim() === '' || !canSend(this.state)) return;
    const base = editing === undefined ? open.conversation : before(open.conversation, editing);
    await this.ask({ ...open, conversation: base }, text);
  }

  /** Asks for another reply to the message of turn `id`. */
  async regenerate(id: number): Promise<void> {
    const { open } = this.state;
    const turn = open.conversation.turns[id];
    if (turn && canSend(this.state)) {
      await this.ask({ ...open, conversation: before(open.conversation, id) }, turn.user);
    }
  }

  async retry(): Promise<void> {
    const { failure } = this.state;
    if (failure && canSend(this.state)) await this.ask(failure.entry, failure.user);
  }

  /** Lets go of a message that got no reply, and shows the conversation as it was before. */
  dismiss(): void {
    const { open, library } = this.state;
    this.set({ failure: undefined, open: entryOf(library, open.id) ?? open });
  }

  private async ask(entry: Entry, text: string): Promise<void> {
    const abort = new AbortController();
    this.stopReply = abort;
    this.set({ open: entry, editing: undefined, failure: undefined, draftTokens: 0 });
    try {
      const { server, settings } = this.state;
      const history = server?.history ?? true;
      for await (const reply of converse({ entry, text, settings, history, signal: abort.signal })) {
        if (abort.signal.reason === discarded) continue;
        if ('done' in reply) this.keep(reply.done);
        else this.set({ reply });
      }
    } catch (error) {
      const { message, code, hint } = error instanceof ApiError ? error : asAxllmError(error);
      const said = this.state.reply?.text ?? '';
      const details = { message, ...(code ? { code } : {}), ...(hint ? { hint } : {}) };
      this.set({ failure: { entry, user: text, text: said, error: details } });
      if (error instanceof ApiError && error.status === 401) this.lock(error, undefined);
    } finally {
      this.stopReply = undefined;
      this.set({ reply: undefined });
      // stopped before its first word: the branch that it was to take the place of is still there
      if (abort.signal.aborted && this.state.open === entry) this.dismiss();
    }
  }

  /** Ends the reply; what was said stays, unless the conversation itself goes. */
  stop(reason?: typeof discarded): void {
    this.stopReply?.abort(reason);
  }

  /** Keeps `entry` in the browser and shows it, if it is the one in view. */
  keep(entry: Entry): void {
    const library = withEntry(this.state.library, entry);
    this.set({ library, ...(this.state.open.id === entry.id ? { open: entry } : {}) });
    this.write(() => storage.writeEntry(this.store, entry));
  }

  private write(action: () => void): void {
    try {
      action();
    } catch {
      this.toast('This browser has no room for more: export conversations, then delete some');
    }
  }

  show(id: string): void {
    const open = entryInView(this.state, id);
    if (open) this.set({ open, editing: undefined, panel: undefined, draftTokens: 0 });
  }

  newChat(): void {
    const open = newEntry(newId(), Date.now(), this.state.settings.system);
    this.set({ open, editing: undefined, panel: undefined, draftTokens: 0 });
  }

  /** Forgets what was said in the conversation in view; one step can be undone. */
  clear(): void {
    const { open, failure } = this.state;
    if (replyInView(this.state)) this.stop(discarded);
    if (failure?.entry.id === open.id) this.set({ failure: undefined });
    if (open.conversation.turns.length === 0) return;
    const empty = clearedEntry(open);
    this.set({ library: withoutEntry(this.state.library, open.id), open: empty, editing: undefined });
    storage.removeEntry(this.store, open.id);
    this.toast('Conversation cleared', open);
  }

  remove(id: string): void {
    const entry = entryOf(this.state.library, id);
    if (!entry) return;
    if (this.state.reply?.entry.id === id) this.stop(discarded);
    this.set({ library: withoutEntry(this.state.library, id) });
    storage.removeEntry(this.store, id);
    if (this.state.open.id === id) this.newChat();
    this.toast('Conversation deleted', entry);
  }

  undo(): void {
    const entry = this.state.toast?.undo;
    if (!entry) return;
    this.keep(entry);
    this.set({ open: entry, toast: undefined });
  }

  /** Another version of an edited or regenerated message. */
  version(id: number): void {
    const { open } = this.state;
    this.keep({ ...open, conversation: switchTo(open.conversation, id) });
  }

  change(settings: PageSettings): void {
    const { open } = this.state;
    this.set({ settings, open: { ...open, conversation: withSystem(open.conversation, settings.system) } });
    if (turnsInView(this.state).length > 0) this.keep(this.state.open);
    this.write(() => storage.writeSettings(this.store, { ...settings }));
  }

  resetSettings(): void {
    this.change({ ...noSettings, theme: this.state.settings.theme });
  }

  panel(panel: Panel | undefined): void {
    this.set({ panel });
  }

  toast(text: string, undo?: Entry): void {
    clearTimeout(this.toastTimer);
    this.set({ toast: { text, ...(undo ? { undo } : {}) } });
    this.toastTimer = setTimeout(() => this.set({ toast: undefined }), toastMs);
  }

  /** The text of a file with `entries`, or with all. */
  exported(entries: readonly Entry[] = this.state.library): string {
    return exported(entries, this.state.server?.name ?? 'axllm');
  }

  import(text: string, where: string): void {
    try {
      const found = imported(text, where);
      found.forEach((conversation, at) =>
        this.keep({ id: newId(), updated: Date.now() + at, conversation, stats: {} }),
      );
      const [newest] = this.state.library;
      if (newest) this.show(newest.id);
      this.toast(`Imported ${found.length} ${found.length === 1 ? 'conversation' : 'conversations'}`);
    } catch (error) {
      this.toast(asAxllmError(error).message);
    }
  }

  /** What another tab has changed. */
  changedElsewhere(key: string | null): void {
    const id = storage.entryOfKey(key);
    if (id === undefined) return;
    this.set({ library: storage.readLibrary(this.store) });
    this.set({ open: entryInView(this.state, this.state.open.id) ?? this.state.open });
  }

  /** The page is going away: what a reply has said until now is kept, or else the message that it was to answer. */
  leave(): void {
    const { reply, library } = this.state;
    if (!reply) return;
    const kept = entryOf(library, reply.entry.id)?.conversation.turns ?? [];
    if (reply.text !== '') this.write(() => storage.writeEntry(this.store, withReply(stopped(reply))));
    else if (!kept.some(({ user }) => user === reply.user)) {
      storage.writeUnsent(this.tab, { id: reply.entry.id, text: reply.user });
    }
  }

  /** The message that the page was left with, once; else nothing. */
  takeUnsent(): string {
    const text = this.unsent?.text ?? '';
    this.unsent = undefined;
    return text;
  }
}

/** Works on insecure contexts too, where `crypto.randomUUID` does not exist. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
