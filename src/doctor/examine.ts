import { listBackends } from '../backend/install/list.js';
import { listDatasets } from '../data/inspect.js';
import { DataError } from '../errors.js';
import { defaultCacheDir } from '../files/cache.js';
import { collectProvenance } from '../shared/provenance.js';
import { backendFindings } from './backends.js';
import type { Finding } from './finding.js';
import { gpuFindings, programFindings, slurmFinding } from './machine.js';
import { datasetFindings, folderFinding, proxyFindings, variableFindings } from './storage.js';

/**
 * Looks at everything that training depends on. Nothing is downloaded, installed or written, and
 * programs that hang are given up.
 * @throws Interrupted
 */
export async function examine(signal: AbortSignal): Promise<Finding[]> {
  const [provenance, backends, datasets, slurm] = await Promise.all([
    collectProvenance(),
    listBackends(signal),
    locateDatasets(),
    slurmFinding(),
  ]);
  const hasCuda = backends.some(({ trial }) => trial.works && trial.report.device === 'cuda');
  return [
    ...programFindings(provenance),
    ...(await gpuFindings(hasCuda)),
    ...backendFindings(backends),
    ...datasets,
    cacheFinding(),
    folderFinding('results folder', 'results'),
    slurm,
    ...variableFindings(process.env),
  ];
}

/** Training needs no cache: only one that was named and cannot be used has to be mended. */
function cacheFinding(): Finding {
  const finding = folderFinding('cache folder', defaultCacheDir(), 'FLN_CACHE_DIR');
  const isNamed = Boolean(process.env.FLN_CACHE_DIR || process.env.XDG_CACHE_HOME);
  return finding.state === 'problem' && !isNamed ? { ...finding, state: 'warning' } : finding;
}

async function locateDatasets(): Promise<Finding[]> {
  try {
    const locations = await listDatasets({ offline: true });
    const mirrors = locations.flatMap((location) => location.mirrors);
    return [...datasetFindings(locations), ...proxyFindings(mirrors)];
  } catch (error) {
    // The folder that FLN_DATA_DIR names is not there: that variable is found at fault, too.
    if (error instanceof DataError)
      return [{ topic: 'data', state: 'problem', text: error.message }];
    throw error;
  }
}
