import { describe, expect, it } from 'vitest';
import { ContentError } from '../../src/data/content-error.js';
import { idxSplit } from '../../src/data/idx.js';
import { parseIdxImages, parseIdxLabels } from '../../src/data/idx-format.js';
import { DataError } from '../../src/errors.js';
import { idxFile } from './tiny-dataset.js';

describe('IDX files', () => {
  it('reads images row by row', () => {
    const { count, images } = parseIdxImages(idxFile([2, 2, 3], [...Array(12).keys()]), 2, 3);
    expect(count).toBe(2);
    expect([...images]).toEqual([...Array(12).keys()]);
  });

  it('reads labels from a view into a larger buffer', () => {
    const padded = Buffer.concat([Buffer.alloc(3), idxFile([3], [9, 0, 4])]);
    expect([...parseIdxLabels(padded.subarray(3), 10)]).toEqual([9, 0, 4]);
  });

  const good = idxFile([2, 5, 4], new Uint8Array(40));
  it.each<[string, Buffer, string]>([
    [
      'wrong magic',
      idxFile([40], new Uint8Array(40)),
      'IDX magic number 0x00000801, expected 0x00000803',
    ],
    ['floats', Buffer.from([0, 0, 0x0d, 3, ...new Uint8Array(20)]), '0x00000d03'],
    ['no header', good.subarray(0, 3), 'is 3 bytes long, too short'],
    ['half a header', good.subarray(0, 10), 'ends inside its IDX header'],
    ['cut short', good.subarray(0, -1), '2 x 5 x 4 = 40 bytes, and 39 follow'],
    [
      'trailing bytes',
      Buffer.concat([good, Buffer.alloc(2)]),
      'has 2 bytes after the 2 x 5 x 4 = 40',
    ],
    ['another size', idxFile([2, 4, 5], new Uint8Array(40)), '4x5 pixels, expected 5x4'],
    [
      'dimensions beyond every file',
      idxFile([0xffffffff, 0xffffffff, 0xffffffff], new Uint8Array(4)),
      'is truncated',
    ],
  ])('refuses images with %s', (_, content, message) => {
    const parse = () => parseIdxImages(content, 5, 4);
    expect(parse).toThrow(ContentError);
    expect(parse).toThrow(message);
  });

  it('refuses a label out of range and says where it is', () => {
    const parse = () => parseIdxLabels(idxFile([4], [1, 9, 11, 12]), 10);
    expect(parse).toThrow('has label 11 in record 2 (from 0); labels run from 0 to 9');
  });

  it('refuses images and labels that do not belong together, naming both files', () => {
    const images = { path: 'a/images', content: idxFile([3, 5, 4], new Uint8Array(60)) };
    const labels = { path: 'a/labels', content: idxFile([2], [1, 2]) };
    const join = () => idxSplit(images, labels, 5, 4, 10);
    expect(join).toThrow(DataError);
    expect(join).toThrow('a/images has 3 images and a/labels has 2 labels');
  });
});
