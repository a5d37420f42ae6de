/**
 * The program as a library: experiments are read, run and looked at as by the command line, which uses
 * nothing else. Nothing here prints or ends the process; errors that a user can act on are
 * {@link FlnError}s, whose message is complete and whose `exitCode` the command line returns.
 *
 * @packageDocumentation
 */

export { startBackend } from './backend/registry.js';
export type { Experiment } from './config/experiment.js';
export { type LoadedExperiment, loadExperiment, parseExperiment } from './config/load.js';
export * from './config/plugins/api.js';
export { experimentSchemaText } from './config/schema.js';
export type { ArrayData, LabelledArrays, TypedArray } from './data/arrays/data.js';
export { ExitCode, FlnError } from './errors.js';
export type { ExperimentEvent } from './experiment/events.js';
export { type ExperimentOptions, type ExperimentResult, runExperiment } from './experiment/run.js';
export { type EvaluateOptions, evaluateModels, type ModelEvaluation } from './model/evaluate.js';
export { loadModel, loadModels, type ModelChoice } from './model/find.js';
export { onnxFile } from './model/onnx-file.js';
export { type Predictions, predictSamples, readInputs } from './model/predict.js';
export { type Comparison, type ComparisonRow, compareRuns } from './report/comparison.js';
export { diffRuns, type RunsDiff } from './report/diff.js';
export {
  type ListedRun,
  type Listing,
  type ListOptions,
  listRuns,
  look,
} from './report/listing.js';
export {
  comparePaired,
  type MethodComparison,
  type PairedComparison,
  type PairedOptions,
} from './report/paired-comparison.js';
export { writeReport } from './report/write-report.js';
export type { Metrics } from './runs/metrics.js';
export type { Model, ModelDescription } from './runs/model-file.js';
export {
  loadRunDirectory,
  loadRuns,
  type Problem,
  type Run,
  type RunDirectory,
} from './runs/run-directory.js';
export type { RunEntry, RunId, RunStatus, RunSummary } from './runs/run-json.js';
export { loadSweep, type Sweep } from './sweep/load.js';
export { type SweepStatus, sweepStatus } from './sweep/status.js';
export { type Base, findBase } from './verify/base.js';
export { type Exact, type ExactRun, verifyExact } from './verify/exact.js';
export { type Paired, type PairedMethod, verifyPaired } from './verify/paired.js';
export { type Verification, verify } from './verify/verify.js';
