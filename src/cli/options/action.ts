import { UsageError } from '../../errors.js';
import { didYouMean } from '../../shared/suggest.js';

/**
 * What a command of several actions, `fln COMMAND ACTION`, is to do.
 * @param given as on the command line
 * @throws UsageError when it names none of them
 */
export function actionNamed<Action>(
  command: string,
  actions: Readonly<Record<string, Action>>,
  given: string | undefined,
): Action {
  if (given !== undefined && Object.hasOwn(actions, given)) return actions[given];
  const names = Object.keys(actions);
  const unknown = given
    ? `There is no "fln ${command} ${given}"${didYouMean(given, names) || '.'} `
    : '';
  const full = names.map((name) => `fln ${command} ${name}`);
  throw new UsageError(`${unknown}Say ${full.slice(0, -1).join(', ')} or ${full.at(-1)}.`);
}
