import type { ListedBackend } from '../backend/install/list.js';
import type { Finding } from './finding.js';

/** What `auto` would take comes first in `backends`. */
export function backendFindings(backends: readonly ListedBackend[]): Finding[] {
  const findings = backends.map(({ name, trial }): Finding => {
    const topic = `backend ${name}`;
    if (!trial.works) return { topic, state: 'absent', text: trial.reason };
    return { topic, state: 'ok', text: `${trial.report.version} (${trial.report.detail})` };
  });
  const working = backends.filter(({ trial }) => trial.works).map(({ name }) => name);
  if (working.length === 0) {
    const wayOut = 'install the program again: npm ci';
    return [...findings, { topic: 'backends', state: 'problem', text: 'none starts', wayOut }];
  }
  if (working.every((name) => name === 'cpu')) {
    const text = 'only plain JavaScript starts, which is slow';
    const wayOut = 'see why wasm does not, above; fln backend install tensorflow';
    return [...findings, { topic: 'backends', state: 'warning', text, wayOut }];
  }
  return findings;
}
