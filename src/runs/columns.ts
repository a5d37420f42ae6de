import type { layerColumns } from './layers.js';

/**
 * What the columns of the CSV files and the files of a run directory contain: `fln explain` and
 * docs/reference.md print it. A column means the same for every method.
 */

/** Columns of metrics.csv, those of single methods included. Empty where not measured. */
export const metricsColumns: Readonly<Record<string, string>> = {
  method: 'label of the method',
  seed: 'random seed of the run',
  batch: 'number of the training step, from 1; iterations of a full-batch method',
  epoch:
    'pass over the training data that the step belongs to, from 1; with dataset.stream, the task',
  wall_s: 'seconds of training so far, without evaluations and warm-up',
  train_loss:
    'mean loss of the batch (full batch: of all training rows) against its true labels, with the weights before the step, without averaging or extrapolation; with dataset.augment, of the augmented images',
  train_accuracy: 'share of the same rows classified correctly by the same weights',
  test_loss:
    'mean loss over the test set after the step, with the averaged weights where the method averages them',
  test_accuracy: 'share of the test set classified correctly by the same weights',
  objective:
    'lifted objective after the step, on the rows of the step, where the method has one; of fenchel with solver preconditioned only after evaluated steps',
  residual:
    'relative optimality residual of the last sub-problem that the step solved, iteratively or in closed form (0: exact)',
  step_ms: 'milliseconds of the step, device reads included',
  validation_loss: 'as test_loss, over the validation split',
  validation_accuracy: 'as test_accuracy, over the validation split',
  test_accuracy_flips:
    'as test_accuracy, by the mean of the outputs for an image and its mirror image (evaluate.flips)',
  validation_accuracy_flips: 'as test_accuracy_flips, over the validation split',
  prequential_accuracy:
    'at the last batch of a task of dataset.stream: mean of train_accuracy over the batches of the task, each classified before the step on it',
  positive_share: 'share of hidden activations that are positive (full-batch methods)',
  max_residual: 'largest residual of the sub-problems of the step (fenchel, solver exact)',
  x_iterations:
    'iterations of the X-updates of the step, passes of a joint one (fenchel, solver exact)',
  w_iterations:
    'iterations of the W-updates of the step (fenchel, solver exact), or of that of the hidden layer (solver full-batch)',
  w_residual: 'residual of the W-update of the hidden layer (fenchel, solver full-batch)',
  x_unsolved:
    'hidden layers whose joint_residual (layers.csv) is above 0.1 (fenchel, solver exact, xSolve joint)',
  z_residual:
    'residual of the update of the hidden activations (askari-bcd; fenchel, solver full-batch)',
  z_iterations:
    'iterations of the update of the hidden activations (askari-bcd; fenchel, solver full-batch)',
  hidden_gradient:
    "gradient of the hidden layer's weight update, relative to the first one of the run (fenchel, solver full-batch)",
  restarts: 'restarts of the momentum so far (fenchel, solver full-batch, accelerated)',
  step_length: 'factor of the Gauss-Newton step that the line search took (mac)',
  step_change:
    'mac: change by the last full Gauss-Newton step; lpom: change by the last weight steps of hidden layers, relative to the pre-activations',
  x_residual: 'distance from the fixed point of the X-updates (lpom)',
};

/** Columns of layers.csv; docs/layers.md has the equations. Empty where there is nothing to measure. */
export const layersColumns: Readonly<Record<(typeof layerColumns)[number], string>> = {
  method: 'label of the method',
  seed: 'random seed of the run',
  batch: 'number of the training step, from 1: those after which the test set is evaluated',
  epoch: 'pass over the training data that the step belongs to, from 1',
  layer: 'number of the layer, from 1; the last one is the output',
  penalty:
    'Fenchel penalty B(X, U) between the activations of the layer and what its weights give, summed over units, mean over rows',
  constraint_violation:
    '||X - phi(U)|| / ||phi(U)||: how far the activations are from what the weights give',
  residual: 'largest optimality residual of the sub-problems that the step solved for the layer',
  active_share:
    'share of the units with a slope above a tenth of the largest one: for ReLU, those that are positive',
  weight_change: 'relative change of the weights by the step',
  activation_change: 'relative change of the activations by the step',
  target_change:
    '||X - phi(U)|| / ||phi(U)|| with the weights before the step: what the X-update asks of the layer',
  signal_cosine:
    'cosine of the learning signal of a hidden layer and the back-propagated one (fenchel, solver preconditioned)',
  signal_bias:
    'mean of the learning signal of a hidden layer over its root mean square, minus the same of the back-propagated one (fenchel, solver preconditioned)',
  joint_residual:
    'how far all X together are from the minimum, in the activations of the layer: ||X - phi(U - r)|| / ||X - phi(U)||, r what the layer above asks for; above 0.1 unsolved (fenchel, solver exact, xSolve joint)',
};

/** Columns of tuning.csv, the record of `fln tune`. */
export const tuningColumns: Readonly<Record<string, string>> = {
  method: 'label of the method',
  trial: 'number of the trial, from 1, which has the settings of the experiment',
  id: 'name of its files in the sweep directory of the method: trials/ID',
  FIELD: 'one column for each searched field of a method: its value in the trial',
  status:
    'COMPLETED; PAUSED where halving stopped it early; FAILED, with the reason in states/ID.json',
  epochs: 'epochs trained, mean over the seeds',
  batches: 'training steps of all seeds together',
  seconds: 'training time of all seeds together, without evaluation',
  validation_accuracy:
    'share of the validation split classified correctly at the end, mean over the seeds',
  half_width_95: 'half width of its 95 % confidence interval over the seeds; empty for one seed',
};

/** Files of a run directory, by their path in it. */
export const runFiles: Readonly<Record<string, string>> = {
  'config.yaml': 'the resolved config; `fln run` repeats the experiment from it',
  'run.json':
    'provenance: program version, git commit, lockfile, Node, backend, CPU, SHA-256 of the data, status of each run',
  'LABEL-sSEED/metrics.csv': 'one row per training step',
  'LABEL-sSEED/layers.csv': 'lifted methods: one row per evaluated step and layer',
  'LABEL-sSEED/checkpoints/':
    'the last two checkpoints of an unfinished run, from which --resume continues',
  'LABEL-sSEED/model.safetensors': "the trained weights, as they were tested, in PyTorch's layout",
  'LABEL-sSEED/activations.safetensors':
    'inputs and hidden activations of the trained network for up to 8 images, which report.html draws',
  'LABEL-sSEED/model.json':
    'what is needed to use the weights: network, preprocessing, classes; results and provenance',
  'summary.csv': 'one row per run: final and best test accuracy, losses, time, time to thresholds',
  'summary.json': 'the same and the mean over seeds per method, with 95 % intervals',
  'figure.svg': 'test accuracy against batches and against training time',
  'figure.png': 'the same figure as pixels',
  'report.html':
    'interactive figure, tables with paired differences, provenance and config in one file, without network access',
};
