import { type LayerShape, pooledShape, unitsIn } from '../shape.js';
import { averagePooled } from './average-pool.js';
import { convolutionMap } from './convolution.js';
import { denseMap } from './dense.js';
import type { LinearMap } from './linear-map.js';

/** The linear map that a layer's shape describes. */
export function buildMap({ input, output, pool, window }: LayerShape): LinearMap {
  const seen = pool > 1 ? pooledShape(input, pool) : input;
  const map = window
    ? convolutionMap(seen, output, window)
    : denseMap(unitsIn(seen), unitsIn(output));
  return pool > 1 ? averagePooled(input, pool, map) : map;
}
