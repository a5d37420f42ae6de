/**
 * Moves labels apart: positions as near as possible to the wanted ones, in their order, at least
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
