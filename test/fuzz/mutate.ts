import fc from 'fast-check';

interface Change {
  readonly kind: 'replace' | 'insert' | 'remove' | 'copy' | 'cut';
  /** Places as shares of the length. */
  readonly at: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

const share = fc.double({ min: 0, max: 1, noNaN: true });

const changes = (words: readonly string[]): fc.Arbitrary<Change[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom<Change['kind']>('replace', 'insert', 'remove', 'copy', 'cut'),
      at: share,
      to: share,
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.constantFrom(...words, '\u0000').map((word) => new TextEncoder().encode(word)),
      ),
    }),
    { minLength: 1, maxLength: 6 },
  );

/** A valid file that was damaged in up to six places. */
export function mutated(
  originals: readonly (Uint8Array | string)[],
  words: readonly string[] = [],
): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.constantFrom(...originals), changes(words))
    .map(([original, list]) =>
      list.reduce(
        apply,
        typeof original === 'string' ? Buffer.from(original) : Buffer.from(original),
      ),
    );
}

/** As {@link mutated}, of texts. */
export const mutatedText = (
  originals: readonly string[],
  words: readonly string[],
): fc.Arbitrary<string> =>
  mutated(originals, words).map((bytes) => Buffer.from(bytes).toString('utf8'));

function apply(content: Buffer, { kind, at, to, bytes }: Change): Buffer {
  const place = Math.floor(at * content.length);
  const end = Math.min(content.length, place + 1 + Math.floor(to * 40));
  const [before, after] = [content.subarray(0, place), content.subarray(place)];
  switch (kind) {
    case 'replace':
      return Buffer.concat([before, bytes, after.subarray(bytes.length)]);
    case 'insert':
      return Buffer.concat([before, bytes, after]);
    case 'remove':
      return Buffer.concat([before, content.subarray(end)]);
    case 'copy':
      return Buffer.concat([before, content.subarray(place, end), after]);
    case 'cut':
      return Buffer.from(before);
  }
}
