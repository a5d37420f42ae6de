import type { Preprocessing, Split } from '../core/dataset.js';

/**
 * The value of each of the 256 pixel levels, per channel.
 *
 * scale: p / 255. standardize: (p / 255 - mean) / std, with the mean and the (population) standard
 * deviation of the channel over `train`; a channel that is constant is only centred.
 *
 * @param train the training images in use: neither validation nor test images enter the statistics
 * @returns [channels][256]
 */
export function pixelLevels(
  preprocessing: Preprocessing,
  train: Split,
  channels: number,
): Float32Array[] {
  return Array.from({ length: channels }, (_, channel) => {
    const { mean, std } =
      preprocessing === 'standardize'
        ? channelStatistics(train.images, channels, channel)
        : { mean: 0, std: 255 };
    return Float32Array.from({ length: 256 }, (_, p) => (p - mean) / std);
  });
}

/** In pixel units, from exact integer sums: the same whatever the order of the images. */
function channelStatistics(images: Uint8Array, channels: number, channel: number) {
  const histogram = new Float64Array(256);
  for (let i = channel; i < images.length; i += channels) histogram[images[i]]++;
  let count = 0;
  let sum = 0;
  for (let p = 0; p < 256; p++) {
    count += histogram[p];
    sum += histogram[p] * p;
  }
  const mean = sum / count;
  let squares = 0;
  for (let p = 0; p < 256; p++) squares += histogram[p] * (p - mean) * (p - mean);
  const std = Math.sqrt(squares / count);
  return { mean, std: std > 0 ? std : 255 };
}
