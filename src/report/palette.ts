/**
 * How curves are told apart: colours of Okabe and Ito that differ for every common colour vision
 * deficiency, and with them a dash pattern and an end marker, for grey prints. Yellow is left out: it
 * does not show on white. Five dashes, seven colours: 35 different styles.
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
