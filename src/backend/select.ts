import { ExitCode, FlnError, UsageError } from '../errors.js';
import type { BackendDefinition, BackendReport, Device } from './backend.js';
import { type BackendName, backendNames, backends, backendsOn } from './registry.js';

/**
 * Starts a backend and makes it the tensor library's current one.
 *
 * @param name a registered backend, or `auto`: the fastest that loads here
 * @param device what it has to compute on; absent: what the backend finds
 * @throws UsageError for an unknown name, or a device that the backend does not compute on;
 *   EnvironmentError for a backend that cannot run here. A backend that was asked for by name is never
 *   replaced by another, nor a device
 */
export async function startBackend(name: string, device?: Device): Promise<BackendReport> {
  if (name === 'auto') return startFastest(device);
  if (!isBackendName(name)) {
    throw new UsageError(
      `there is no backend "${name}"; the backends are auto, ${backendNames.join(', ')}`,
    );
  }
  const backend: BackendDefinition = backends[name];
  if (device !== undefined && !backend.devices?.includes(device)) {
    throw new UsageError(wrongDevice(name, device));
  }
  return backend.start(device);
}

/** Why a backend and a device do not go together. */
export function wrongDevice(backend: string, device: Device): string {
  const others = backendsOn(device).map(({ name }) => name);
  return `the backend "${backend}" does not compute on the device "${device}"; backends that do: ${others.join(', ')}`;
}

async function startFastest(device: Device | undefined): Promise<BackendReport> {
  const reasons: string[] = [];
  const candidates = backendsOn(device).filter(({ onlyByName }) => !onlyByName);
  for (const candidate of candidates) {
    try {
      return await candidate.start(device);
    } catch (error) {
      if (!(error instanceof FlnError) || candidates.length === 1) throw error;
      reasons.push(`  ${candidate.name}: ${error.message}`);
    }
  }
  throw new FlnError(`no backend runs here:\n${reasons.join('\n')}`, ExitCode.environment);
}

function isBackendName(name: string): name is BackendName {
  return (backendNames as readonly string[]).includes(name);
}
