/** The public link, for the one who opened it. */
import type { App } from '../app.js';
import { copyText } from '../copy.js';
import type { ShareState } from '../../server/page-state.js';
import { Dialog } from './controls.js';

export function ShareDialog({ app, share }: { readonly app: App; readonly share: ShareState }) {
  return (
    <Dialog title="Public link" onClose={() => app.panel(undefined)}>
      {share.phase === 'opening' && <p role="status">{share.step}…</p>}
      {share.phase === 'closed' && (
        <div class="failure">
          <p>
            <strong>{share.reason}</strong>
            {share.hint && <span>{share.hint}</span>}
          </p>
        </div>
      )}
      {share.phase === 'open' && (
        <>
          <Code rows={share.qr} />
          <div class="link">
            <input type="text" readOnly aria-label="Public link" value={share.url} />
            <button
              type="button"
              class="primary"
              onClick={async () => app.toast((await copyText(share.url)) ? 'Link copied' : 'Could not copy')}
            >
              Copy
            </button>
          </div>
          <p class="warning">
            Whoever has this link can use the model on this machine, until{' '}
            {new Date(share.expires).toLocaleString()} or until axllm ends. Visitors see neither your
            conversations nor each other's.
          </p>
        </>
      )}
    </Dialog>
  );
}

/** A QR code as one path; `rows` has a line of 0 and 1 for each row. */
function Code({ rows }: { readonly rows: string }) {
  const lines = rows.split('\n');
  const path = lines
    .flatMap((line, y) => Array.from(line, (bit, x) => (bit === '1' ? `M${x} ${y}h1v1h-1z` : '')))
    .join('');
  return (
    <svg
      class="qr"
      viewBox={`0 0 ${lines.length} ${lines.length}`}
      role="img"
      aria-label="The link as a QR code"
    >
      <path d={path} />
    </svg>
  );
}
