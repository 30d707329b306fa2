/** What is shown before anything was said: the state of the model, and ways to begin. */
import type { App } from '../app.js';
import type { UiState } from '../../server/page-state.js';

const beginnings = [
  'Explain how a rainbow forms, in three sentences.',
  'Write a Python function that checks for a palindrome.',
  'Give me three names for a small bakery.',
] as const;

export function Welcome({ app }: { readonly app: App }) {
  const { server } = app.state;
  if (!server) return <div class="welcome" />;
  if (server.phase === 'loading') return <Loading server={server} />;
  if (server.phase === 'failed') return <LoadFailed server={server} />;
  return (
    <div class="welcome">
      <Mark />
      <p class="greeting">What is on your mind?</p>
      {!server.simple && (
        <ul class="beginnings">
          {beginnings.map((text) => (
            <li key={text}>
              <button type="button" onClick={() => void app.send(text)}>
                {text}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** The sign of the page, drawn of the accent colour. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      <path d="M24 6c11 0 18 7 18 16s-7 16-18 16c-2.5 0-4.8-.3-6.9-1L8 42l2-8.6C7.4 30.4 6 26.5 6 22 6 13 13 6 24 6z" />
      <path d="M16 22h.01M24 22h.01M32 22h.01" />
    </svg>
  );
}

function Loading({ server }: { readonly server: UiState }) {
  const { progress, step } = server;
  const share = progress?.total ? Math.min(1, progress.done / progress.total) : undefined;
  return (
    <div class="welcome" role="status">
      <Mark />
      <p class="greeting">{progress ? 'Downloading the model' : 'Loading the model'}</p>
      <progress aria-label="Progress" {...(share === undefined ? {} : { value: share, max: 1 })} />
      <p class="step">
        {progress
          ? `${progress.label}: ${megabytes(progress.done)}${progress.total ? ` of ${megabytes(progress.total)}` : ''}`
          : (step ?? server.name)}
      </p>
    </div>
  );
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

function LoadFailed({ server }: { readonly server: UiState }) {
  return (
    <div class="welcome">
      <Mark />
      <p class="greeting">The model could not be loaded</p>
      <div class="failure" role="alert">
        <p>
          <strong>{server.error?.message}</strong>
          {server.error?.hint && <span>{server.error.hint}</span>}
        </p>
      </div>
    </div>
  );
}
