/** Reads a stream of chunks by given numbers of bytes. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #position = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Bytes read or skipped so far. */
  get position(): number {
    return this.#position;
  }

  /** The next `length` bytes, or all that are left when there are fewer; an array of its own. */
  async read(length: number): Promise<Uint8Array> {
    const target = new Uint8Array(length);
    const got = await this.#advance(length, (part, at) => target.set(part, at));
    return got < length ? target.subarray(0, got) : target;
  }

  /** @returns how many of `length` bytes there were to skip */
  async skip(length: number): Promise<number> {
    return this.#advance(length, () => undefined);
  }

  async #advance(length: number, use: (part: Uint8Array, at: number) => void): Promise<number> {
    let done = 0;
    while (done < length) {
      if (this.#chunk.length === 0) {
        const { value, done: ended } = await this.#chunks.next();
        if (ended) break;
        this.#chunk = value;
        continue;
      }
      const part = this.#chunk.subarray(0, length - done);
      use(part, done);
      this.#chunk = this.#chunk.subarray(part.length);
      done += part.length;
    }
    this.#position += done;
    return done;
  }
}
