import * as tf from '@tensorflow/tfjs';
import type { BackendReport } from '../backend/backend.js';
import { startBackend } from '../backend/registry.js';
import type { Experiment } from '../config/experiment.js';
import { gatherRows, targetRows } from '../core/batches.js';
import type { Dataset, LoadOptions } from '../core/dataset.js';
import { initializeParameters } from '../core/network/initialize.js';
import {
  activationNames,
  isDiscontinuous,
  isNonMonotone,
  lossNames,
} from '../core/network/names.js';
import { buildNetwork, disposeParameters } from '../core/network/network.js';
import { Random } from '../core/random.js';
import { loadDefinition } from '../data/load.js';
import { UsageError } from '../errors.js';
import { networkBound } from './network-bound.js';
import {
  type CertificateReport,
  checkCertifiable,
  networkCertificate,
} from './network-certificate.js';
import { oneLayerBound } from './one-layer.js';
import type { BoundProblem, BoundReport, BoundRow, BoundSettings } from './problem.js';

export interface BoundResult {
  readonly report: BoundReport | CertificateReport;
  readonly dataset: Dataset;
  readonly backend: BackendReport;
}

/**
 * Computes lifted and feed-forward objectives for every lambda, or a certificate, on the training images of an
 * experiment with its network and loss. The experiment's methods are not used.
 *
 * @throws UsageError for a network or a loss that is not supported; EnvironmentError, DataError
 */
export async function computeBound(
  experiment: Experiment,
  settings: BoundSettings,
  options: LoadOptions,
  onRow: (row: BoundRow) => void = () => {},
): Promise<BoundResult> {
  const { activations, loss } = experiment.network;
  const own = [...activations, loss].find(
    (name) => ![...activationNames, ...lossNames].some((known) => known === name),
  );
  if (own !== undefined || experiment.network.layers.some((layer) => layer.own)) {
    throw new UsageError(
      `the bound is computed for the built-in activations, losses and layers, not for those of plugins${own ? ` ("${own}")` : ''}`,
    );
  }
  const jump = activations.find(isDiscontinuous);
  if (jump !== undefined) {
    throw new UsageError(
      `the bound needs activations of bounded slope, and the network has ${jump}, which jumps. Choose another activation, as in network.layers.0.activation=relu`,
    );
  }
  const decreasing = activations.find(isNonMonotone);
  if (decreasing !== undefined) {
    throw new UsageError(
      `the bound needs monotone activations, for convex sub-problems, and the network has ${decreasing}, which is not monotone. Choose another activation, as in network.layers.0.activation=relu`,
    );
  }
  const isOneLayer = experiment.network.activations.length === 0;
  if (settings.certify) checkCertifiable(experiment);
  if (isOneLayer && experiment.loss !== 'mse') {
    throw new UsageError(
      `a network without a hidden layer is treated as the one-layer regression Y ~ relu(X W), which needs loss mse, not ${experiment.loss}. Add loss=mse, or a hidden layer`,
    );
  }
  const backend = await startBackend(experiment.backend, experiment.device);
  const dataset = await loadDefinition(experiment.data, experiment.dataset, options);
  const network = buildNetwork(experiment.network);
  const random = new Random(settings.seed, 'init');
  const initial = initializeParameters(network, { initializer: 'he', bias: 0 }, random);
  const problem: BoundProblem = {
    network,
    activations: experiment.network.activations,
    loss: experiment.loss,
    ...tensors(dataset),
    rho: settings.rho,
  };
  try {
    if (settings.certify) {
      const report = await networkCertificate(problem, settings, initial);
      return { report, dataset, backend };
    }
    const report = isOneLayer
      ? await oneLayerBound(problem, settings, onRow)
      : await networkBound(problem, settings, initial, onRow);
    return { report, dataset, backend };
  } finally {
    tf.dispose([problem.x, problem.y]);
    disposeParameters(initial);
  }
}

function tensors({ train, levels, classes }: Dataset): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const rows = Uint32Array.from({ length: train.count }, (_, i) => i);
  const x = gatherRows(train, rows, levels);
  const y = targetRows(train, rows, classes);
  return {
    x: tf.tensor2d(x, [train.count, x.length / train.count]),
    y: tf.tensor2d(y, [train.count, classes]),
  };
}
