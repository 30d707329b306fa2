/** Where the page begins. */
import { render } from 'preact';
import { App } from './app.js';
import { Page } from './view/page.js';

const app = new App(localStorage, sessionStorage);
addEventListener('storage', ({ key }) => app.changedElsewhere(key));
addEventListener('pagehide', () => app.leave());
render(<Page app={app} />, document.getElementById('root')!);

// the secret leaves the address at once: it must not stay in the history or on a screenshot
const secret = location.hash.slice(1);
if (secret !== '') history.replaceState(null, '', location.pathname);
void app.connect(secret === '' ? undefined : secret);
