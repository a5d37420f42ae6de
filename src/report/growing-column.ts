/** A column of numbers whose length shows only when all are read. */
export class GrowingColumn {
  #values = new Float64Array(16);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(2 * this.#length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  /** What was pushed so far. */
  values(): Float64Array {
    return this.#values.slice(0, this.#length);
  }
}
