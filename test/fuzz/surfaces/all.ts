import type { Surface } from '../surface.js';
import { checkpoints } from './checkpoints.js';
import { commandLines } from './command-lines.js';
import { configs, overrides } from './config.js';
import { cifar, emnist, idx, mat, ownData } from './data.js';
import { mirrors } from './mirrors.js';
import { metrics, runDirectories } from './results.js';
import { sweepDirectories, sweepFiles } from './sweeps.js';

/** Everything that takes input from outside. */
export const surfaces = [
  commandLines,
  configs,
  overrides,
  idx,
  ownData,
  cifar,
  mat,
  emnist,
  metrics,
  checkpoints,
  runDirectories,
  sweepFiles,
  sweepDirectories,
  mirrors,
] as unknown as readonly Surface[];
