import { backend_util, type NamedAttrMap, type TensorInfo } from '@tensorflow/tfjs';
import { type Kernel, type KernelCall, Scratch } from './kernel.js';

type Shape4D = [number, number, number, number];

/**
 * Gradient of a convolution with respect to its filter, which the wasm backend lacks.
 *
 * dW[i,j,c,o] = sum_{n,p,q} x[n, s p + i, s q + j, c] dy[n, p, q, o] is itself a convolution: batch
 * and channels of x swap roles, dy is the filter, and the stride s becomes its dilation.
 */
export const conv2DBackpropFilter = (): Kernel => (call) => {
  const { x, dy } = call.inputs;
  const filterShape = call.attrs.filterShape as Shape4D;
  const info = convolution(call, x.shape as Shape4D, filterShape);
  const [kh, kw] = filterShape;
  const { top, bottom, left, right } = info.padInfo;
  const scratch = new Scratch(call.backend);
  const padded = pad(scratch, x, [top, bottom], [left, right]);
  const swapped = scratch.call('Transpose', { x: padded }, { perm: [3, 1, 2, 0] });
  const filter = scratch.call('Transpose', { x: dy }, { perm: [1, 2, 0, 3] });
  const product = convolve(scratch, swapped, filter, [info.strideHeight, info.strideWidth]);
  // A stride that does not divide the image leaves extra rows: positions beyond the filter.
  const [channels, height, width, outputs] = product.shape;
  const cropped =
    height === kh && width === kw
      ? product
      : scratch.call(
          'Slice',
          { x: product },
          { begin: [0, 0, 0, 0], size: [channels, kh, kw, outputs] },
        );
  return scratch.finish(scratch.call('Transpose', { x: cropped }, { perm: [1, 2, 0, 3] }));
};

/**
 * Gradient of a stride-1 convolution with respect to its input: dy, padded, convolved with the
 * filter turned by 180 degrees with its channels swapped. The stock kernel, a scalar loop, is kept
 * for other strides.
 */
export const conv2DBackpropInput =
  (original: Kernel | undefined): Kernel =>
  (call) => {
    if (!original) throw new Error('the wasm backend has no kernel Conv2DBackpropInput');
    const { dy, filter } = call.inputs;
    const info = convolution(call, call.attrs.inputShape as Shape4D, filter.shape as Shape4D);
    const [kh, kw] = filter.shape;
    const { top, bottom, left, right } = info.padInfo;
    const rows: [number, number] = [kh - 1 - top, kh - 1 - bottom];
    const columns: [number, number] = [kw - 1 - left, kw - 1 - right];
    const unitStride = info.strideHeight === 1 && info.strideWidth === 1;
    if (!unitStride || Math.min(...rows, ...columns) < 0) return original(call);
    const scratch = new Scratch(call.backend);
    const padded = pad(scratch, dy, rows, columns);
    const turned = scratch.call('Reverse', { x: filter }, { dims: [0, 1] });
    const swapped = scratch.call('Transpose', { x: turned }, { perm: [0, 1, 3, 2] });
    return scratch.finish(convolve(scratch, padded, swapped, [1, 1]));
  };

function convolution({ attrs }: KernelCall, inShape: Shape4D, filterShape: Shape4D) {
  const dataFormat = backend_util.convertConv2DDataFormat(
    (attrs.dataFormat as 'NHWC' | 'NCHW') ?? 'NHWC',
  );
  if (dataFormat !== 'channelsLast') {
    throw new Error('convolution gradients on the wasm backend need data in NHWC order');
  }
  return backend_util.computeConv2DInfo(
    inShape,
    filterShape,
    attrs.strides as number | [number, number],
    1,
    attrs.pad as 'valid' | 'same' | number,
    attrs.dimRoundingMode as 'floor' | 'round' | 'ceil' | undefined,
    false,
    dataFormat,
  );
}

function pad(
  scratch: Scratch,
  x: TensorInfo,
  rows: [number, number],
  columns: [number, number],
): TensorInfo {
  if ([...rows, ...columns].every((width) => width === 0)) return x;
  const paddings = [[0, 0], rows, columns, [0, 0]];
  return scratch.call('PadV2', { x }, { paddings, constantValue: 0 } as unknown as NamedAttrMap);
}

/** A stride-1 convolution without padding. */
function convolve(
  scratch: Scratch,
  x: TensorInfo,
  filter: TensorInfo,
  dilations: [number, number],
): TensorInfo {
  return scratch.call('Conv2D', { x, filter }, {
    strides: [1, 1],
    pad: 'valid',
    dataFormat: 'NHWC',
    dilations,
  } as NamedAttrMap);
}
