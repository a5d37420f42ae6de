import { describe, expect, it } from 'vitest';
import { barSize } from '../../src/cli/render/progress.js';

describe('the progress bar', () => {
  it('shrinks before the numbers beside it are cut off', () => {
    expect(barSize(120, 24, 1200)).toBe(20);
    expect(barSize(undefined, 24, 1200)).toBe(barSize(80, 24, 1200));
    // One cell less for every column less, once the bar is not whole.
    const narrow = barSize(90, 24, 1200);
    expect(narrow).toBeLessThan(20);
    expect(barSize(87, 24, 1200)).toBe(narrow - 3);
    expect(barSize(90, 24, 12000)).toBe(narrow - 2);
    expect(barSize(20, 24, 1200)).toBe(4);
  });
});
