/** System prompt, the options of the table that shape a reply, and the look. */
import { useState } from 'preact/hooks';
import { asAxllmError } from '../../errors.js';
import type { OptionRow } from '../../options.js';
import type { App } from '../app.js';
import {
  samplingText,
  settingRows,
  temperatureRange,
  themes,
  withSampling,
  type PageSettings,
} from '../state/settings.js';
import { Dialog, useField } from './controls.js';

export function SettingsDialog({ app }: { readonly app: App }) {
  const { settings, server } = app.state;
  const change = (part: Partial<PageSettings>) => app.change({ ...app.state.settings, ...part });
  const setSystem = (text: string) => {
    const { system: _old, ...rest } = app.state.settings;
    app.change(text.trim() === '' ? rest : { ...rest, system: text });
    return true;
  };
  const system = useField(settings.system ?? '', setSystem);
  return (
    <Dialog title="Settings" onClose={() => app.panel(undefined)}>
      <div class="row">
        <label for="system">System prompt</label>
        <textarea id="system" rows={3} placeholder={server?.system ?? "The model's own"} {...system} />
        <p class="help">Who the assistant is; for this conversation and new ones.</p>
      </div>
      <Temperature app={app} />
      <details>
        <summary>More sampling options</summary>
        <div class="grid">
          {settingRows().map(([name, row]) => (
            <Option key={name} app={app} name={name} row={row} />
          ))}
        </div>
      </details>
      <fieldset class="row">
        <legend>Look</legend>
        <div class="segments">
          {themes.map((theme) => (
            <label key={theme}>
              <input
                type="radio"
                name="theme"
                checked={settings.theme === theme}
                onChange={() => change({ theme })}
              />
              <span>{theme}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <footer>
        <button type="button" class="plain" onClick={() => app.resetSettings()}>
          Back to the server's settings
        </button>
      </footer>
    </Dialog>
  );
}

/** Of the settings as they are now: what was drawn may be older. */
function setSampling(app: App, key: string, text: string): void {
  const { settings } = app.state;
  app.change({ ...settings, sampling: withSampling(settings.sampling, key, text) });
}

/** The reference's slider. */
export function Temperature({ app }: { readonly app: App }) {
  const { settings, server } = app.state;
  const value = Number(settings.sampling.temperature ?? server?.defaults.temperature ?? 0);
  const set = (text: string) => setSampling(app, 'temperature', text);
  return (
    <div class="row temperature">
      <label for="temperature">
        Temperature <output for="temperature">{value.toFixed(2)}</output>
      </label>
      <input
        id="temperature"
        type="range"
        {...temperatureRange}
        value={value}
        onInput={(event) => set(event.currentTarget.value)}
      />
      <p class="help">0 always gives the same reply; 0.7 is a good balance.</p>
    </div>
  );
}

interface OptionProps {
  readonly app: App;
  readonly name: string;
  readonly row: OptionRow;
}

/** One row of the table: its help, its range, and the complaint that the command line would make. */
function Option({ app, name, row }: OptionProps) {
  const { settings, server } = app.state;
  const [complaint, setComplaint] = useState('');
  const take = (text: string) => {
    try {
      setSampling(app, row.key, text);
      setComplaint('');
      return true;
    } catch (error) {
      setComplaint(asAxllmError(error).message);
      return false;
    }
  };
  const field = useField(samplingText(settings.sampling, row.key), take);
  const id = `option-${name}`;
  const shared = {
    id,
    ...field,
    placeholder: server ? samplingText(server.defaults, row.key) || 'default' : '',
    'aria-describedby': `${id}-help`,
    'aria-invalid': complaint !== '',
  };
  return (
    <div class="row">
      <label for={id}>{name.replaceAll('-', ' ')}</label>
      {row.type === 'list' ? (
        <textarea {...shared} rows={1} />
      ) : (
        <input {...shared} type="text" inputMode="decimal" autocomplete="off" />
      )}
      <p class={complaint ? 'help bad' : 'help'} id={`${id}-help`} role={complaint ? 'alert' : undefined}>
        {complaint ||
          (row.type === 'list' ? `${row.help.replace(' (repeatable)', '')}, one a line` : row.help)}
      </p>
    </div>
  );
}
