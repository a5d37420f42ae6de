import { nameParameters } from '../names.js';
import { type RankedTrial, ranked, type SweepStatus } from '../status.js';
import { type ParameterAxis, parameterAxis } from './parameter-axis.js';

/** What the figures of a sweep show. */
export interface SweepView {
  /** Trials with a value of the metric, in their ranking: the best first, retired ones last. */
  readonly trials: readonly RankedTrial[];
  /** Parameters that differ between them. */
  readonly parameters: readonly ParameterAxis[];
  readonly metric: ParameterAxis;
  readonly goal: 'maximize' | 'minimize';
}

export function viewOf(status: SweepStatus): SweepView {
  const { manifest } = status;
  // A retired trial has a place among the others where it has the parameters of today.
  const trials = ranked(status).filter(
    ({ trial }) =>
      !trial.retired || manifest.parameters.every((path) => trial.overrides[path] !== undefined),
  );
  const names = nameParameters(manifest.parameters);
  const parameters = manifest.parameters.flatMap((path) => {
    const values = trials.map(({ trial }) => trial.overrides[path] as unknown);
    const axis = parameterAxis(path, names.get(path) ?? path, values);
    return new Set(values.map((value) => JSON.stringify(value))).size > 1 ? [axis] : [];
  });
  const { column, method, goal } = manifest.metric;
  const title = `${column.replaceAll('_', ' ')}${method === undefined ? '' : ` of ${method}`}`;
  const metric = parameterAxis(
    column,
    title,
    trials.map(({ value }) => value),
  );
  return { trials, parameters, metric, goal };
}
