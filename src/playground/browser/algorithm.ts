import type { Block, FromWorker, TrainedMethod } from '../protocol.js';
import { make } from './dom.js';

/** The block at work. */
type Current = Extract<FromWorker, { type: 'block' }>;

/** What a block update achieved. */
export const achieved = ({ update }: Current): string =>
  `residual ${update.residual.toExponential(1)} after ${update.iterations} iteration${update.iterations === 1 ? '' : 's'}`;

/** X_2, W_1, or X where all are updated together. */
export const blockName = ({ block, layer }: Block): string => `${block}${layer ?? ''}`;

/** Algorithm 2 as the paper lists it, with the line at work highlighted; nothing for methods that have no blocks. */
export function drawAlgorithm(
  container: HTMLElement,
  method: TrainedMethod | undefined,
  current?: Current,
): void {
  if (!method || method.blocks.length === 0) {
    container.replaceChildren();
    return;
  }
  const { blocks, alternations } = method;
  const lines = blocks.map((block, line) => {
    const item = make(
      'li',
      {},
      variable(block),
      ' ← argmin over ',
      variable(block),
      ' of G',
      make('span', { className: 'quiet' }, ` (${meaning(block)})`),
    );
    if (line === current?.line) {
      item.ariaCurrent = 'step';
      item.append(make('strong', {}, ` ${achieved(current)}`));
    }
    return item;
  });
  const at = current
    ? `alternation ${current.alternation + 1} of ${alternations}`
    : `${alternations} alternations`;
  container.replaceChildren(
    make('h3', {}, `Algorithm 2, for every batch${alternations > 1 ? `: ${at}` : ''}`),
    make(
      'p',
      { className: 'note' },
      'X starts with a forward pass. “One block” updates the next block and stops.',
    ),
    make('ol', { className: 'algorithm' }, ...lines),
  );
}

const variable = ({ block, layer }: Block): HTMLElement =>
  make('var', {}, block, ...(layer === undefined ? [] : [make('sub', {}, String(layer))]));

function meaning({ block, layer }: Block): string {
  if (block === 'W') return 'weights, given the activations';
  return layer === undefined
    ? 'activations of all hidden layers together, given the weights'
    : 'activations, given the layers around them';
}
