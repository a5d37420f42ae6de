import type { FenchelExactConfig } from './config.js';

/** The blocks of one alternation, in their order; X_l has the layers l - 1 and l beside it. */
export function sweep(
  order: FenchelExactConfig['order'],
  layers: number,
): { readonly block: 'X' | 'W'; readonly l: number }[] {
  const activations = Array.from({ length: layers - 1 }, (_, i) => layers - 1 - i);
  const weights = Array.from({ length: layers }, (_, l) => l);
  if (order === 'activations-first') {
    return [
      ...activations.map((l) => ({ block: 'X' as const, l })),
      ...weights.map((l) => ({ block: 'W' as const, l })),
    ];
  }
  return [
    ...activations.flatMap((l) => [
      { block: 'X' as const, l },
      { block: 'W' as const, l: l - 1 },
    ]),
    { block: 'W', l: layers - 1 },
  ];
}
