import type { z } from 'zod';
import { AdamConfig } from './adam/config.js';
import { AskariConfig, askariPresets } from './askari-bcd/config.js';
import {
  checkConvexPenalty,
  checkHardware,
  checkHiddenLayer,
  checkJumpSmoothing,
  checkReluLeastSquares,
  checkSmoothing,
  checkStages,
} from './checks.js';
import {
  checkHeld,
  checkJointOrder,
  exactPresets,
  exactVariant,
  FenchelExactConfig,
} from './fenchel/exact/config.js';
import {
  FenchelFullBatchConfig,
  fullBatchPresets,
  fullBatchVariant,
} from './fenchel/full-batch/config.js';
import {
  FenchelPreconditionedConfig,
  preconditionedRenames,
} from './fenchel/preconditioned/config.js';
import { length } from './fields.js';
import { FoofConfig } from './foof/config.js';
import { KfacConfig } from './kfac/config.js';
import { LauConfig, lauPresets } from './lau-bcd/config.js';
import { LpomConfig } from './lpom/config.js';
import { MacConfig } from './mac/config.js';
import type { MethodDefinition, NetworkShape } from './method.js';
import { checkWeightNorm, MuonConfig } from './muon/config.js';
import { checkPerLayer } from './per-layer.js';
import { checkStepNorm, preconditionedDefaults } from './preconditioned/config.js';
import { checkNesterov, SgdConfig, sgdDefaults } from './sgd/config.js';
import { SoapConfig } from './soap/config.js';
import { TaylorConfig, taylorPresets } from './taylor-admm/config.js';
import { ZhangBrandConfig } from './zhang-brand/config.js';

/** Adds the fields that every method has; each is only ever given its own schema's output. */
const define = <Schema extends z.ZodObject>(
  definition: MethodDefinition<Schema>,
): MethodDefinition => ({
  ...definition,
  schema: definition.schema.extend(length),
  check: (config, network) => [
    ...(definition.check?.(config as z.output<Schema>, network) ?? []),
    ...checkHardware(config, network),
  ],
});

/** Every training method. Adding one is one folder and one entry here. */
export const methods: readonly MethodDefinition[] = [
  define({
    name: 'fenchel',
    solver: 'preconditioned',
    isDefault: true,
    summary:
      "Fenchel lifted network, one step per block, preconditioned by the inputs' covariance (as FOOF); not the paper's algorithm",
    variant: ({ stepNorm }) => (stepNorm === 'operator' ? 'operator norm' : 'preconditioned'),
    schema: FenchelPreconditionedConfig,
    renamed: preconditionedRenames,
    defaults: (network, given) => preconditionedDefaults(network, { from: 1, to: 0.3 }, given),
    check: (config, network) => [
      ...checkHiddenLayer(network.activations),
      ...checkJumpSmoothing(config, network),
    ],
    load: async () =>
      (await import('./fenchel/preconditioned/preconditioned.js')).fenchelPreconditioned,
  }),
  define({
    name: 'fenchel',
    solver: 'exact',
    summary: 'Fenchel lifted network, Algorithm 2: every sub-problem solved to a tolerance',
    variant: exactVariant,
    schema: FenchelExactConfig,
    presets: exactPresets,
    check: (config, network) => [
      ...checkHiddenLayer(network.activations),
      ...checkConvexPenalty(network),
      ...checkStages(network, 'its blocks are a map and an activation each'),
      ...checkPerLayer(config, ['lambda'], network.activations.length, 'hidden layer'),
      ...checkPerLayer(config, ['rho', 'gamma'], network.widths.length - 1, 'layer'),
      ...checkHeld(config, network.widths.length - 1),
      ...checkJointOrder(config),
    ],
    load: async () => (await import('./fenchel/exact/exact.js')).fenchelExact,
  }),
  define({
    name: 'fenchel',
    solver: 'full-batch',
    fullBatch: true,
    summary:
      'Fenchel lifted network, Algorithm 1 with inexact W-steps: all training images in every iteration',
    variant: fullBatchVariant,
    schema: FenchelFullBatchConfig,
    presets: fullBatchPresets,
    check: (config, network) => [
      ...checkReluLeastSquares(network, 'one'),
      ...checkPerLayer(config, ['rho'], network.widths.length - 1, 'layer'),
    ],
    load: async () => (await import('./fenchel/full-batch/full-batch.js')).fenchelFullBatch,
  }),
  define({
    name: 'sgd',
    summary: 'back-propagation, stochastic gradient descent with momentum',
    schema: SgdConfig,
    defaults: sgdDefaults,
    check: checkNesterov,
    load: async () => (await import('./sgd/sgd.js')).sgd,
  }),
  define({
    name: 'adam',
    summary: 'back-propagation, Adam; with weightDecay, AdamW',
    schema: AdamConfig,
    load: async () => (await import('./adam/adam.js')).adam,
  }),
  define({
    name: 'foof',
    summary:
      "back-propagation, preconditioned by the inputs' covariance (Benzing 2022): fenchel's steps without its signal",
    schema: FoofConfig,
    defaults: (network, given) => preconditionedDefaults(network, 'none', given),
    check: (config, network) => [
      ...checkJumpSmoothing(config, network),
      ...checkStepNorm(config, network),
    ],
    load: async () => (await import('./foof/foof.js')).foof,
  }),
  define({
    name: 'kfac',
    summary:
      'back-propagation, preconditioned by a Kronecker product that approximates the Fisher matrix (Martens and Grosse 2015)',
    schema: KfacConfig,
    defaults: (network) => preconditionedDefaults(network, 'none', { stepNorm: 'covariance' }),
    check: (config, network) => [
      ...checkJumpSmoothing(config, network),
      ...checkStages(network, 'its factors are of layers whose bias is a part of the map', [
        'norm',
        'maxPool',
        'whiten',
      ]),
    ],
    load: async () => (await import('./kfac/kfac.js')).kfac,
  }),
  define({
    name: 'muon',
    summary:
      'back-propagation, orthogonalised momentum (Jordan et al. 2024); AdamW for biases and outputs',
    schema: MuonConfig,
    check: checkWeightNorm,
    load: async () => (await import('./muon/muon.js')).muon,
  }),
  define({
    name: 'soap',
    summary:
      "back-propagation, Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024)",
    schema: SoapConfig,
    load: async () => (await import('./soap/soap.js')).soap,
  }),
  define({
    name: 'taylor-admm',
    fullBatch: true,
    summary: 'lifted network, ADMM of Taylor et al. (2016)',
    refusesInit:
      'it starts from random pre-activations, and its first iteration computes all weights from them',
    schema: TaylorConfig,
    presets: taylorPresets,
    check: (_, network) => checkReluLeastSquares(network, 'any'),
    load: async () => (await import('./taylor-admm/taylor-admm.js')).taylorAdmm,
  }),
  define({
    name: 'lau-bcd',
    fullBatch: true,
    summary: 'lifted network, proximal block-coordinate descent of Lau et al. (2018)',
    schema: LauConfig,
    presets: lauPresets,
    check: (_, network) => checkReluLeastSquares(network, 'any'),
    load: async () => (await import('./lau-bcd/lau-bcd.js')).lauBcd,
  }),
  define({
    name: 'askari-bcd',
    fullBatch: true,
    summary: 'lifted network, block-coordinate descent of Askari et al. (2018)',
    schema: AskariConfig,
    presets: askariPresets,
    check: (_, network) => checkReluLeastSquares(network, 'one'),
    load: async () => (await import('./askari-bcd/askari-bcd.js')).askariBcd,
  }),
  define({
    name: 'zhang-brand',
    fullBatch: true,
    summary: 'lifted network, proximal block-coordinate descent of Zhang and Brand (2017)',
    schema: ZhangBrandConfig,
    check: (config, network) => [
      ...checkReluLeastSquares(network, 'any'),
      ...checkPerLayer(config, ['gamma'], network.activations.length, 'hidden layer'),
    ],
    load: async () => (await import('./zhang-brand/zhang-brand.js')).zhangBrand,
  }),
  define({
    name: 'mac',
    fullBatch: true,
    summary: 'lifted network, method of auxiliary coordinates of Carreira-Perpinan and Wang (2014)',
    schema: MacConfig,
    check: (_, network) => checkReluLeastSquares(network, 'one'),
    load: async () => (await import('./mac/mac.js')).mac,
  }),
  define({
    name: 'lpom',
    fullBatch: true,
    summary: 'lifted network, proximal operator machine of Li, Fang and Lin (2019)',
    schema: LpomConfig,
    check: (config, network) => [
      ...checkReluLeastSquares(network, 'any'),
      ...checkPerLayer(config, ['mu'], network.widths.length - 1, 'layer'),
    ],
    load: async () => (await import('./lpom/lpom.js')).lpom,
  }),
];

/**
 * The values of a method's fields that an entry leaves open, by where they come from. A value is the explicit one, else
 * the preset's, else the method's default for this network and the values given, else the schema's default.
 * @param explicit the fields that the entry has, each valid by itself
 * @param network undefined when the network itself is not usable
 */
export function fillIn(
  definition: MethodDefinition,
  explicit: Readonly<Record<string, unknown>>,
  network: NetworkShape | undefined,
): Record<'filled' | 'presetValues' | 'networkValues', Readonly<Record<string, unknown>>> {
  const { preset, label } = explicit;
  const named = typeof preset === 'string' ? definition.presets?.[preset] : undefined;
  const presetValues = (typeof named === 'function' ? network && named(network) : named) ?? {};
  const given = { ...presetValues, ...explicit };
  const networkValues = (network && definition.defaults?.(network, given)) ?? {};
  const name = typeof label === 'string' ? label : definition.name;
  return { filled: { ...networkValues, ...given, label: name }, presetValues, networkValues };
}

/** Reasons why a method cannot train a network with these values of its fields, each with the field that causes it. */
export const misfitsOf = (
  definition: MethodDefinition,
  config: Readonly<Record<string, unknown>>,
  network: NetworkShape,
) => [
  ...checkPerLayer(config, ['initializer'], network.layers.length, 'layer'),
  ...checkSmoothing(config, network),
  ...(definition.check?.(config, network) ?? []),
];

/**
 * The algorithm behind a method of a resolved config, for tables and figures: `preconditioned`, `Algorithm 2`.
 * @returns undefined where the method's name says it all, and for methods that are not known (any more)
 */
export function methodVariant(config: Readonly<Record<string, unknown>>): string | undefined {
  const { name, solver } = config;
  const entries = methods.filter((method) => method.name === name);
  const entry = entries.find((method) => method.solver === solver) ?? entries[0];
  return entry?.variant?.(config);
}
