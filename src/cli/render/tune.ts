import { accuracy, alignTable, missing } from '../../report/table.js';
import { duration, grouped, plural, printable, shellCommand } from '../../shared/text.js';
import type { Tuning } from '../../sweep/tune/plan.js';
import type { MethodRecord } from '../../sweep/tune/record.js';
import { type Edge, edgesOf } from '../../sweep/tune/space.js';
import { shortPath } from './print.js';
import { settings } from './sweep.js';

/** On what the trials are trained and compared. */
export function splitText({ split, trials, epochs, eta, methods, experiment }: Tuning): string {
  const { train, validation, isDefault } = split;
  const images = `${grouped(train)} training and ${grouped(validation)} validation rows`;
  const from = isDefault ? ' (a tenth, at most 5,000; --validation sets it)' : '';
  const halved = eta === undefined ? '' : ', stopped early by halving';
  return (
    `${plural(methods.length, 'method')}, each with ${plural(trials, 'trial')} of ${plural(epochs, 'epoch')}${halved}, ` +
    `${plural(experiment.seeds.length, 'seed')}; ${images}${from}; the test set is not used.`
  );
}

/** The result of a tuning: cost and best settings of each method. */
export function formatTuning(
  tuning: Tuning,
  methods: readonly MethodRecord[],
  files: readonly string[],
): string {
  const rows = methods.map(({ label, trials, open, batches, seconds, best }) => {
    const failed = trials.filter(({ status }) => status === 'FAILED').length;
    const notes = [
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(open > 0 ? [`${open} unfinished`] : []),
    ];
    return [
      label,
      `${trials.length}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`,
      grouped(batches),
      duration(seconds),
      best === undefined ? missing : String(best.trial),
      accuracy(best?.accuracy),
    ];
  });
  const head = ['method', 'trials', 'batches', 'train time', 'best trial', 'validation accuracy'];
  const several = tuning.experiment.seeds.length > 1;
  const lines = [
    ...alignTable({ head, rows }),
    `batches and train time: all trials and seeds together${several ? '; accuracy: mean ± 95 % interval over seeds' : ''}`,
    '',
  ];
  for (const { label, best, trials, open } of methods) {
    if (best === undefined) {
      const reason = trials.find(({ error }) => error !== undefined)?.error;
      const state = open > 0 ? 'no trial has ended' : 'all trials failed';
      lines.push(`${label}: ${state}${reason === undefined ? '' : `; one: ${printable(reason)}`}`);
      continue;
    }
    const as = best.trial === 1 ? ' (as in the experiment)' : '';
    lines.push(`${label}: ${settings(best.settings)}${as}`);
    for (const edge of edgesIn(tuning, label, best.settings)) lines.push(`  ${edgeText(edge)}`);
  }
  const [record, tuned] = files.map(shortPath);
  lines.push('', `Record: ${record}`);
  if (tuned !== undefined) {
    lines.push(`To train with the best settings: ${shellCommand(['fln', 'run', tuned])}`);
  }
  return lines.join('\n');
}

const edgesIn = (
  { methods }: Tuning,
  label: string,
  best: Readonly<Record<string, unknown>>,
): Edge[] => edgesOf(methods.find((one) => one.label === label)?.space ?? {}, best);

function edgeText({ field, value, range, end, isOutside }: Edge): string {
  const where = isOutside ? `beyond the ${end} end` : `at the ${end} end`;
  return `${field} ${value} is ${where} of its range, ${range.join(' to ')}: widen it with --space`;
}

/** {@link formatTuning} for --json. */
export function tuningJson(
  tuning: Tuning,
  methods: readonly MethodRecord[],
  files: readonly string[],
) {
  const { name, directory, trials, epochs, eta, split, experiment } = tuning;
  return {
    name,
    directory,
    trials,
    epochs,
    seeds: experiment.seeds,
    ...(eta !== undefined && { eta }),
    split,
    methods: methods.map(({ best, ...method }) => ({
      ...method,
      best: best?.trial,
      edges: best === undefined ? [] : edgesIn(tuning, method.label, best.settings),
    })),
    files,
  };
}
