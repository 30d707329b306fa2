/** Model, context meter, and the ways to the panels. */
import type { App } from '../app.js';
import { meterOf, type Meter } from '../state/app-state.js';
import { IconButton } from './controls.js';

const places: Record<string, string> = { transformers: 'CPU', 'transformers-aipu': 'AIPU' };

export function Header({ app }: { readonly app: App }) {
  const { server, panel } = app.state;
  const meter = meterOf(app.state);
  const { info, simple, share } = server ?? {};
  return (
    <header class="top">
      {server && !simple && (
        <IconButton
          icon="menu"
          label="Conversations"
          class="only-narrow"
          onClick={() => app.panel(panel === 'list' ? undefined : 'list')}
        />
      )}
      <p class="model">
        <strong>{server?.name ?? 'axllm'}</strong>
        {info && (
          <span>
            {places[info.pipeline] ?? info.pipeline}
            {info.pipeline === 'transformers' ? '' : ` · ${info.device}`}
          </span>
        )}
      </p>
      <span class="space" />
      {meter && <Context meter={meter} />}
      {share && <IconButton icon="share" label="Public link" onClick={() => app.panel('share')} />}
      {server && !simple && (
        <IconButton icon="settings" label="Settings" onClick={() => app.panel('settings')} />
      )}
    </header>
  );
}

/** How full the context is, as a ring and in numbers. */
function Context({ meter: { used, total } }: { readonly meter: Meter }) {
  const share = total > 0 ? used / total : 0;
  const text = `${used.toLocaleString('en')} of ${total.toLocaleString('en')} tokens of the context are used`;
  return (
    <div
      class={share > 0.85 ? 'meter full' : 'meter'}
      role="meter"
      aria-label="Context"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={used}
      aria-valuetext={text}
      title={text}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        <circle cx="10" cy="10" r="8" />
        <circle cx="10" cy="10" r="8" pathLength="100" stroke-dasharray={`${(share * 100).toFixed(1)} 100`} />
      </svg>
      <span>
        {used.toLocaleString('en')} <i>/ {total.toLocaleString('en')}</i>
      </span>
    </div>
  );
}
