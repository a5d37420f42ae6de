import { backend_util, type NamedAttrMap } from '@tensorflow/tfjs';
import { type Kernel, Scratch } from './kernel.js';

/**
 * Gradient of average pooling over windows that tile the image: every pixel gets its window's
 * gradient over the window's size. Other windows keep the stock kernel, which is about 7 times slower.
 */
export const avgPoolGrad =
  (original: Kernel | undefined): Kernel =>
  (call) => {
    if (!original) throw new Error('the wasm backend has no kernel AvgPoolGrad');
    const { dy, input } = call.inputs;
    const info = backend_util.computePool2DInfo(
      input.shape as [number, number, number, number],
      call.attrs.filterSize as number | [number, number],
      call.attrs.strides as number | [number, number],
      1,
      call.attrs.pad as 'valid' | 'same' | number,
      call.attrs.dimRoundingMode as 'floor' | 'round' | 'ceil' | undefined,
    );
    const tiles =
      info.filterHeight === info.strideHeight &&
      info.filterWidth === info.strideWidth &&
      info.outHeight * info.strideHeight === info.inHeight &&
      info.outWidth * info.strideWidth === info.inWidth;
    if (!tiles) return original(call);
    const scratch = new Scratch(call.backend);
    const share = 1 / (info.filterHeight * info.filterWidth);
    const scaled = scratch.call('Multiply', {
      a: dy,
      b: scratch.constant(new Float32Array([share]), []),
    });
    const spread = scratch.call('ResizeNearestNeighbor', { images: scaled }, {
      alignCorners: false,
      halfPixelCenters: false,
      size: [info.inHeight, info.inWidth],
    } as NamedAttrMap);
    return scratch.finish(spread);
  };
