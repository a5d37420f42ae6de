/** Learning-rate schedules: a factor in [0, 1] of a method's step size. */
export const scheduleNames = ['constant', 'linear', 'cosine', 'hold-linear'] as const;
export type ScheduleName = (typeof scheduleNames)[number];

/**
 * @param t batch index, from 0
 * @param total number of batches of the run
 * @param warmup batches over which the factor rises linearly from 1/warmup to 1
 * @returns constant: 1; linear: 1 - t/T; cosine: (1 + cos(pi t/T))/2; hold-linear: min(1, 2 (1 - t/T))
 */
export function scheduleFactor(
  name: ScheduleName,
  t: number,
  total: number,
  warmup: number,
): number {
  const remaining = 1 - t / total;
  const rise = warmup > 0 ? Math.min(1, (t + 1) / warmup) : 1;
  switch (name) {
    case 'constant':
      return rise;
    case 'linear':
      return rise * remaining;
    case 'cosine':
      return (rise * (1 + Math.cos(Math.PI * (t / total)))) / 2;
    case 'hold-linear':
      return rise * Math.min(1, 2 * remaining);
  }
}

/** How smooth activations that jump are in learning signals: epsilon at the first and at the last step, or none. */
export type Smoothing = 'none' | { readonly from: number; readonly to: number };

/**
 * epsilon of step t of `total`: geometric, from (to / from)^(t / (total - 1)).
 * @returns one number; none where nothing is smoothed
 */
export function smoothingAt(smoothing: Smoothing, t: number, total: number): number[] {
  if (smoothing === 'none') return [];
  const { from, to } = smoothing;
  return [from * (to / from) ** (t / Math.max(1, total - 1))];
}
