/** The conversations of this browser: a column on wide screens, a drawer on narrow ones. */
import { useRef, useState } from 'preact/hooks';
import type { App } from '../app.js';
import { byDay, matching, titleOf } from '../state/library.js';
import { download } from '../files.js';
import { IconButton } from './controls.js';
import { Icon } from './icons.js';

export function Sidebar({ app }: { readonly app: App }) {
  const { library, open, reply, panel } = app.state;
  const [wanted, setWanted] = useState('');
  const file = useRef<HTMLInputElement>(null);
  const groups = byDay(matching(library, wanted), Date.now());
  const read = async (files: FileList | null) => {
    for (const each of files ?? []) app.import(await each.text(), each.name);
    if (file.current) file.current.value = '';
  };
  return (
    <>
      {panel === 'list' && <div class="shade" onClick={() => app.panel(undefined)} />}
      <nav class={panel === 'list' ? 'sidebar shown' : 'sidebar'} id="sidebar" aria-label="Conversations">
        <button type="button" class="new-chat" onClick={() => app.newChat()}>
          <Icon name="plus" /> New chat
        </button>
        {library.length > 5 && (
          <input
            type="search"
            class="find"
            aria-label="Find a conversation"
            placeholder="Find…"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        )}
        <div class="entries">
          {groups.map(([heading, entries]) => (
            <section key={heading} aria-label={heading}>
              <h2>{heading}</h2>
              <ul>
                {entries.map((entry) => (
                  <li key={entry.id} class={entry.id === open.id ? 'entry current' : 'entry'}>
                    <button
                      type="button"
                      class="title"
                      aria-current={entry.id === open.id ? 'true' : undefined}
                      onClick={() => app.show(entry.id)}
                    >
                      {titleOf(entry)}
                      {reply?.entry.id === entry.id && (
                        <span class="busy" role="img" aria-label="answering" />
                      )}
                    </button>
                    <IconButton
                      icon="download"
                      label={`Export ${titleOf(entry)}`}
                      onClick={() => download(`${titleOf(entry)}.json`, app.exported([entry]))}
                    />
                    <IconButton
                      icon="trash"
                      label={`Delete ${titleOf(entry)}`}
                      onClick={() => app.remove(entry.id)}
                    />
                  </li>
                ))}
              </ul>
            </section>
          ))}
          {library.length === 0 && <p class="nothing">Conversations are kept in this browser only.</p>}
        </div>
        <div class="exchange">
          <button type="button" class="plain" onClick={() => file.current?.click()}>
            <Icon name="upload" /> Import
          </button>
          <button
            type="button"
            class="plain"
            disabled={library.length === 0}
            onClick={() => download('axllm-conversations.json', app.exported())}
          >
            <Icon name="download" /> Export all
          </button>
          <input
            ref={file}
            type="file"
            accept="application/json,.json"
            multiple
            hidden
            aria-label="Conversation files"
            onChange={(event) => void read(event.currentTarget.files)}
          />
        </div>
      </nav>
    </>
  );
}
