import type { Surface } from '../surface.js';
import { checkpoints } from './checkpoints.js';
import { configs, overrides } from './config.js';
import { cifar, idx } from './data.js';
import { mirrors } from './mirrors.js';
import { metrics, runDirectories } from './results.js';
import { sweepDirectories, sweepFiles } from './sweeps.js';

/** Everything that takes input from outside. */
export const surfaces = [
  configs,
  overrides,
  idx,
  cifar,
  metrics,
  checkpoints,
  runDirectories,
  sweepFiles,
  sweepDirectories,
  mirrors,
] as unknown as readonly Surface[];
