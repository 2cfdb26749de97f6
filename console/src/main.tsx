import './styles/base.css';
import './styles/shell.css';
import './styles/parts.css';
import './styles/timeline.css';
import './styles/preview.css';
import './styles/dialog.css';
import './styles/restores.css';
import './styles/backups.css';
import './styles/find.css';
import './styles/states.css';
import './styles/narrow.css';
import { render } from 'preact';

import { App } from './app.tsx';
import { readConfig } from './config.ts';
import { openProject } from './project.ts';
import { openSession } from './session.ts';
import { showTheme } from './theme.ts';

const root = document.getElementById('app')!;
showTheme();
try {
  const config = await readConfig();
  openSession(config);
  openProject(config);
  render(<App />, root);
} catch (error) {
  render(<main class="alone">{error instanceof Error ? error.message : String(error)}</main>, root);
}
