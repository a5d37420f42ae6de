import { distance } from 'fastest-levenshtein';

/**
 * The candidate that was probably meant, or undefined when none is close: at most about one typing error per
 * three letters. Letters in the wrong order count as one error; case, `-`, `_` and spaces are ignored.
 */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  // The distance takes quadratic time, and no candidate is this long.
  if (word.length > 60) return undefined;
  const wanted = normalise(word);
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const name = normalise(candidate);
    const d = sorted(wanted) === sorted(name) && wanted !== name ? 1 : distance(wanted, name);
    if (d < bestDistance && d <= allowed(wanted, name)) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** Words of three letters are too similar to each other (cpu, gpu) for anything but a swap. */
function allowed(a: string, b: string): number {
  const length = Math.max(a.length, b.length);
  if (length <= 3) return sorted(a) === sorted(b) ? 1 : 0;
  return Math.max(1, Math.floor(length / 3));
}

const sorted = (word: string) => [...word].sort().join('');

/** `; did you mean "relu"?`, or an empty text. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const best = suggest(word, candidates);
  return best === undefined ? '' : `; did you mean "${best}"?`;
}

function normalise(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, '');
}
