import { ExitCode, FlnError, UsageError } from '../errors.js';
import type { BackendReport } from './backend.js';
import { type BackendName, backendNames, backends } from './registry.js';

/**
 * Starts a backend and makes it the tensor library's current one.
 *
 * @param name a registered backend, or `auto`: the fastest that loads here
 * @throws UsageError for an unknown name, EnvironmentError for a backend that cannot run here; a
 *   backend that was asked for by name is never replaced by another
 */
export async function startBackend(name: string): Promise<BackendReport> {
  if (name !== 'auto') {
    if (!isBackendName(name)) {
      throw new UsageError(
        `there is no backend "${name}"; the backends are auto, ${backendNames.join(', ')}`,
      );
    }
    return backends[name].start();
  }
  const reasons: string[] = [];
  const candidates = Object.values(backends).filter(({ onlyByName }) => !onlyByName);
  for (const candidate of candidates.sort((a, b) => b.rank - a.rank)) {
    try {
      return await candidate.start();
    } catch (error) {
      if (!(error instanceof FlnError)) throw error;
      reasons.push(`  ${candidate.name}: ${error.message}`);
    }
  }
  throw new FlnError(`no backend runs here:\n${reasons.join('\n')}`, ExitCode.environment);
}

function isBackendName(name: string): name is BackendName {
  return (backendNames as readonly string[]).includes(name);
}
