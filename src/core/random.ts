/**
 * Seeded random numbers, the same on every platform and backend.
 *
 * Generator: sfc32 (C. Doty-Humphrey, PractRand), seeded by hashing `seed` and a stream name with
 * cyrb128, so that shuffling, initialisation and synthetic data draw from independent streams:
 * using more numbers in one of them never changes the others.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  #spare: number | undefined;

  /**
   * @param seed integer in [1, 2^31); 0 is refused by the config because tfjs reads it as "unseeded"
   * @param stream name of an independent sequence, e.g. `shuffle`
   */
  constructor(seed: number, stream: string) {
    [this.#a, this.#b, this.#c, this.#d] = cyrb128(`${seed}/${stream}`);
    for (let i = 0; i < 16; i++) this.#next();
  }

  #next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  /** Uniform in [0, 1), 32 random bits. */
  uniform(): number {
    return this.#next() / 4294967296;
  }

  /** Uniform integer in [0, bound), unbiased by rejection. */
  integer(bound: number): number {
    const limit = 4294967296 - (4294967296 % bound);
    let x = this.#next();
    while (x >= limit) x = this.#next();
    return x % bound;
  }

  /** Standard normal (polar Box-Muller; draws in pairs). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    let u: number;
    let v: number;
    let s: number;
    do {
      u = 2 * this.uniform() - 1;
      v = 2 * this.uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s === 0);
    const factor = Math.sqrt((-2 * Math.log(s)) / s);
    this.#spare = v * factor;
    return u * factor;
  }

  /** Fisher-Yates, in place. */
  shuffle(items: { length: number; [index: number]: number }): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const t = items[i];
      items[i] = items[j];
      items[j] = t;
    }
  }
}

/** 128-bit string hash (bryc, public domain), used only to spread a seed over the generator's state. */
function cyrb128(text: string): [number, number, number, number] {
  let h1 = 1779033703;
  let h2 = 3144134277;
  let h3 = 1013904242;
  let h4 = 2773480762;
  for (let i = 0; i < text.length; i++) {
    const k = text.charCodeAt(i);
    h1 = h2 ^ Math.imul(h1 ^ k, 597399067);
    h2 = h3 ^ Math.imul(h2 ^ k, 2869860233);
    h3 = h4 ^ Math.imul(h3 ^ k, 951274213);
    h4 = h1 ^ Math.imul(h4 ^ k, 2716044179);
  }
  h1 = Math.imul(h3 ^ (h1 >>> 18), 597399067);
  h2 = Math.imul(h4 ^ (h2 >>> 22), 2869860233);
  h3 = Math.imul(h1 ^ (h3 >>> 17), 951274213);
  h4 = Math.imul(h2 ^ (h4 >>> 19), 2716044179);
  return [h1 ^ h2 ^ h3 ^ h4, h2 ^ h1, h3 ^ h1, h4 ^ h1];
}
