import { defaultFont, type MeasureText, measureIn } from './font.js';

export type { MeasureText } from './font.js';

/** Size of the labels at line ends, in pixels. */
export const labelFontSize = 13;
/** Least distance between two of them. */
export const labelSpacing = 18;

/** Measures in the bundled font. */
export const measureText: MeasureText = measureIn(defaultFont);

/**
 * Styles of curves: colours of Okabe and Ito, which differ for every common colour vision deficiency, with
 * a dash pattern and an end marker for grey prints. Without yellow, which is hard to see on white. Five
 * dashes and seven colours make 35 styles.
 */
export interface Style {
  readonly color: string;
  /** The colour darkened until text on white reaches a contrast of 4.5. */
  readonly textColor: string;
  /** The colour lightened for a dark page. */
  readonly darkColor: string;
  readonly dash: readonly number[];
  readonly marker: string;
}

const colors: readonly (readonly [line: string, text: string, dark: string])[] = [
  ['#0072B2', '#0072B2', '#4FA8DE'],
  ['#D55E00', '#B85100', '#FF9150'],
  ['#009E73', '#007A59', '#35C79D'],
  ['#CC79A7', '#A3507E', '#E39CC4'],
  ['#E69F00', '#8F6300', '#F2B632'],
  ['#56B4E9', '#1B75A8', '#9AD4F5'],
  ['#333333', '#333333', '#D6D6D6'],
];
const dashes: readonly (readonly number[])[] = [[], [8, 3], [3, 2.5], [10, 3, 2, 3], [14, 5]];
const markers = ['circle', 'square', 'triangle-up', 'diamond', 'triangle-down'];

/** The style of the i-th curve. */
export function style(i: number): Style {
  const [color, textColor, darkColor] = colors[i % colors.length];
  return { color, textColor, darkColor, dash: dashes[i % 5], marker: markers[i % 5] };
}

/**
 * Moves labels apart: positions as close as possible to the wanted ones, in their order, at least
 * `gap` apart and inside [low, high] where they fit at all. Labels that would touch form a block
 * centred on the mean of their wanted positions (isotonic regression, pool adjacent violators).
 * @returns positions in the order of the input
 */
export function spreadLabels(
  wanted: readonly number[],
  gap: number,
  low: number,
  high: number,
): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b] || a - b);
  const blocks: { sum: number; size: number }[] = [];
  for (const [rank, i] of order.entries()) {
    // Without the gaps, "at least gap apart" becomes "in ascending order".
    let block = { sum: wanted[i] - rank * gap, size: 1 };
    while (blocks.length > 0) {
      const before = blocks.at(-1)!;
      if (before.sum / before.size <= block.sum / block.size) break;
      blocks.pop();
      block = { sum: before.sum + block.sum, size: before.size + block.size };
    }
    blocks.push(block);
  }
  const shrunkHigh = Math.max(low, high - (wanted.length - 1) * gap);
  const flat = blocks.flatMap(({ sum, size }) =>
    Array<number>(size).fill(Math.min(shrunkHigh, Math.max(low, sum / size))),
  );
  const positions = new Array<number>(wanted.length);
  for (const [rank, i] of order.entries()) positions[i] = flat[rank] + rank * gap;
  return positions;
}
