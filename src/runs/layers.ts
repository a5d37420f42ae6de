import type { StepMeasurements } from '../core/methods/method.js';
import type { TableKind } from './metrics.js';
import type { BatchMeasurement, Value } from './metrics-writer.js';

/** The columns of every layers.csv; each row is one layer after one batch. */
const firstColumns = [
  'method',
  'seed',
  'batch',
  'epoch',
  'layer',
  'penalty',
  'constraint_violation',
  'residual',
  'active_share',
  'weight_change',
  'activation_change',
  'target_change',
] as const;

export const layerColumns = [
  ...firstColumns,
  'signal_cosine',
  'signal_bias',
  'joint_residual',
] as const;

/** layers.csv: one row per measured batch and layer. */
export const layersFile: TableKind = {
  noun: 'a layers file',
  required: firstColumns,
  order: ['batch', 'layer'],
};

/** The rows of layers.csv for one batch: one per layer, that of the output last. */
export function layerRows(
  { run, batch, epoch }: Pick<BatchMeasurement, 'run' | 'batch' | 'epoch'>,
  { layers }: Pick<StepMeasurements, 'layers'>,
): Record<(typeof layerColumns)[number], Value>[] {
  return layers.map((measured, l) => ({
    method: run.label,
    seed: run.seed,
    batch,
    epoch,
    layer: l + 1,
    penalty: measured.penalty,
    constraint_violation: measured.constraintViolation,
    residual: measured.residual,
    active_share: measured.activeShare,
    weight_change: measured.weightChange,
    activation_change: measured.activationChange,
    target_change: measured.targetChange,
    signal_cosine: measured.signalCosine,
    signal_bias: measured.signalBias,
    joint_residual: measured.jointResidual,
  }));
}
