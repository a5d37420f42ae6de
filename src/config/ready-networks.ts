import type { LayerInput } from './layers.js';

/** Networks by name, `network: { name: lenet5 }`: a config may have the layers themselves instead. */
export const readyNetworkNames = ['lenet5', 'vgg-small', 'resnet-small', 'airbench94'] as const;
export type ReadyNetworkName = (typeof readyNetworkNames)[number];

/**
 * The layers of a network by name.
 * @param height of the images, in pixels
 * @param classes units of the last layer
 */
export function readyNetwork(
  name: ReadyNetworkName,
  { height, classes }: { readonly height: number; readonly classes: number },
): LayerInput[] {
  return [...hiddenLayers[name](height), { dense: classes }];
}

const hiddenLayers: Readonly<Record<ReadyNetworkName, (height: number) => LayerInput[]>> = {
  /** LeCun et al. 1998 in today's form, as the paper of this program trains it; images of 28 pixels are padded to 32. */
  lenet5: (height) => [
    { conv: 6, kernel: 5, padding: height < 32 ? 2 : 0, activation: 'relu' },
    { averagePool: 2 },
    { conv: 16, kernel: 5, activation: 'relu' },
    { averagePool: 2 },
    { dense: 120, activation: 'relu' },
    { dense: 84, activation: 'relu' },
  ],
  /** Six convolutions in the manner of VGG (Simonyan and Zisserman 2015), with batch norms. */
  'vgg-small': () => [
    ...[32, 64, 128].flatMap((channels): LayerInput[] => [
      { conv: channels, kernel: 3, padding: 'same', norm: 'batch', activation: 'relu' },
      { conv: channels, kernel: 3, padding: 'same', norm: 'batch', activation: 'relu' },
      { maxPool: 2 },
    ]),
    { globalPool: 'average' },
  ],
  /** The residual network of 20 layers of He et al. 2016 for CIFAR, whose skip connections have no weights. */
  'resnet-small': () => [
    { conv: 16, kernel: 3, padding: 'same', norm: 'batch', activation: 'relu' },
    ...[16, 32, 64].flatMap((channels, stage): LayerInput[] =>
      [0, 1, 2].map((block) => ({
        residual: [
          {
            conv: channels,
            kernel: 3,
            stride: stage > 0 && block === 0 ? 2 : 1,
            padding: 'same',
            norm: 'batch',
            activation: 'relu',
          },
          { conv: channels, kernel: 3, padding: 'same', norm: 'batch' },
        ],
        activation: 'relu',
      })),
    ),
    { globalPool: 'average' },
  ],
  /** The network of airbench94 (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU"). */
  airbench94: () => [
    { whiten: 2, activation: 'gelu' },
    ...[64, 256, 256].flatMap((channels): LayerInput[] => [
      { conv: channels, kernel: 3, padding: 'same', maxPool: 2, norm: 'batch', activation: 'gelu' },
      { conv: channels, kernel: 3, padding: 'same', norm: 'batch', activation: 'gelu' },
    ]),
    { globalPool: 'max' },
  ],
};
