/** The value of a per-layer field at one layer. */
export function layerValue(value: number | readonly number[], layer: number): number {
  return typeof value === 'number' ? value : value[layer];
}

/** Finds per-layer lists whose length does not fit the network; single values always do. */
export function checkPerLayer<Key extends string>(
  config: Readonly<Partial<Record<Key, unknown>>>,
  keys: readonly Key[],
  layers: number,
  noun: string,
): { path: string[]; message: string }[] {
  return keys.flatMap((key) => {
    const value = config[key];
    if (!Array.isArray(value) || value.length === layers) return [];
    const plural = layers === 1 ? '' : 's';
    return [
      {
        path: [key],
        message: `has ${value.length} values, but the network has ${layers} ${noun}${plural}`,
      },
    ];
  });
}
