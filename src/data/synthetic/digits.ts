import type { Split } from '../../core/dataset.js';
import { Random } from '../../core/random.js';
import { type Glyph, glyphs, type Point } from './glyphs.js';

export const imageSize = 28;
const pixels = imageSize * imageSize;
/** The data set is one fixed set, whatever the seed of an experiment. */
const dataSeed = 20_200_108;

/**
 * Images that look like handwritten digits: a written form of the digit with its own proportions,
 * slant, pen and tremor, under stray marks and noise.
 *
 * Image i depends on its split and on i alone, so the first n images are the same however many are
 * made. Only + - * / and square roots are used, which IEEE 754 fixes to the last bit: every platform
 * makes the same bytes.
 */
export function syntheticSplit(split: 'train' | 'test', count: number): Split {
  const images = new Uint8Array(count * pixels);
  const labels = new Uint8Array(count);
  const canvas = new Float64Array(pixels);
  for (let i = 0; i < count; i++) {
    const random = new Random(dataSeed, `synthetic-digits/${split}/${i}`);
    labels[i] = random.integer(10);
    drawDigit(labels[i], random, canvas.fill(0), images.subarray(i * pixels, (i + 1) * pixels));
  }
  return { images, labels, count };
}

function drawDigit(label: number, random: Random, image: Float64Array, target: Uint8Array): void {
  const glyph = glyphs[label][random.integer(glyphs[label].length)];
  const radius = 0.75 + 0.95 * random.uniform();
  const ink = 0.7 + 0.3 * random.uniform();
  const softness = 0.9 + 0.8 * random.uniform();
  for (const line of write(glyph, random)) {
    drawPolyline(image, imageSize, spline(line, 4), radius, ink, softness);
  }
  drawClutter(image, random);
  drawNoisy(image, 0.18 * random.uniform(), random, target);
}

/** Turns ink in [0, 1] plus uniform noise of the given amplitude into 8-bit grey. */
function drawNoisy(image: Float64Array, noise: number, random: Random, target: Uint8Array): void {
  const scale = (2 * noise) / 255;
  for (let i = 0; i < pixels; i += 4) {
    // One draw has the bits of four pixels.
    let bits = Math.floor(random.uniform() * 4294967296);
    for (let j = i; j < i + 4; j++, bits >>>= 8) {
      const value = image[j] - noise + scale * (bits & 255);
      target[j] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  }
}

/** The glyph's strokes as one hand writes them, in pixels. */
function write(glyph: Glyph, random: Random): Polyline[] {
  const hand = randomHand(random);
  const jitter = 0.036;
  // Strokes that meet in a corner must still meet, so equal points get the same jitter.
  const moved = new Map<string, Point>();
  return glyph.map((stroke) =>
    stroke.flatMap(([x, y]) => {
      const key = `${x},${y}`;
      const point = moved.get(key) ?? hand(x + jitter * bell(random), y + jitter * bell(random));
      moved.set(key, point);
      return point;
    }),
  );
}

/** A map from the unit box to pixels: tremor, proportions, slant, rotation, position. */
function randomHand(random: Random): (x: number, y: number) => Point {
  const tremor = randomWarp(random, 0.056);
  const height = 19 + 1.6 * bell(random);
  const width = height * (0.74 + 0.12 * bell(random));
  const slant = 0.12 + 0.17 * bell(random);
  const half = 0.055 * bell(random);
  // Rational form of a rotation by 2 atan(half): no trigonometric function, the same bits everywhere.
  const cosine = (1 - half * half) / (1 + half * half);
  const sine = (2 * half) / (1 + half * half);
  const centerX = 13.5 + 1.05 * bell(random);
  const centerY = 13.5 + 1.05 * bell(random);
  return (x, y) => {
    const [dx, dy] = tremor(x, y);
    const v = (y + dy - 0.5) * height;
    const u = (x + dx - 0.5) * width - slant * v;
    return [centerX + cosine * u - sine * v, centerY + sine * u + cosine * v];
  };
}

/** A smooth displacement field: random vectors on a 3x3 lattice, interpolated bilinearly. */
function randomWarp(random: Random, strength: number): (x: number, y: number) => Point {
  const lattice = Array.from({ length: 18 }, () => strength * bell(random));
  return (x, y) => {
    const gx = Math.min(1.999, Math.max(0, 2 * x));
    const gy = Math.min(1.999, Math.max(0, 2 * y));
    const column = Math.floor(gx);
    const row = Math.floor(gy);
    const [fx, fy] = [gx - column, gy - row];
    const mix = (axis: number) => {
      const at = (r: number, c: number) => lattice[2 * (3 * r + c) + axis];
      const upper = at(row, column) * (1 - fx) + at(row, column + 1) * fx;
      const lower = at(row + 1, column) * (1 - fx) + at(row + 1, column + 1) * fx;
      return upper * (1 - fy) + lower * fy;
    };
    return [mix(0), mix(1)];
  };
}

/** Up to two short stray marks. */
function drawClutter(image: Float64Array, random: Random): void {
  const marks = random.integer(3);
  for (let i = 0; i < marks; i++) {
    const x = imageSize * random.uniform();
    const y = imageSize * random.uniform();
    const dx = 7 * (random.uniform() - 0.5);
    const dy = 7 * (random.uniform() - 0.5);
    const radius = 0.4 + 0.6 * random.uniform();
    drawPolyline(image, imageSize, [x, y, x + dx, y + dy], radius, 0.3 + 0.5 * random.uniform(), 1);
  }
}

/** Mean 0, variance 1, within 2 sqrt(3): a sum of uniforms, because a normal takes a logarithm. */
function bell(random: Random): number {
  let sum = -2;
  for (let i = 0; i < 4; i++) sum += random.uniform();
  return sum * Math.sqrt(3);
}

/** A pen line in pixel coordinates: x0, y0, x1, y1, ... */
type Polyline = readonly number[];

/**
 * Adds a polyline, drawn with a round pen and anti-aliased, to a grey image; where lines cross, the
 * darker ink stays.
 *
 * @param image [size * size], ink in [0, 1]
 * @param radius half the pen's width, in pixels
 * @param ink darkness of the line's core
 * @param softness width of the line's edge, in pixels
 */
function drawPolyline(
  image: Float64Array,
  size: number,
  line: Polyline,
  radius: number,
  ink: number,
  softness: number,
): void {
  const reach = radius + softness / 2;
  for (let i = 0; i + 3 < line.length; i += 2) {
    const x0 = line[i];
    const y0 = line[i + 1];
    const dx = line[i + 2] - x0;
    const dy = line[i + 3] - y0;
    const squared = dx * dx + dy * dy;
    const inverse = squared > 0 ? 1 / squared : 0;
    const left = Math.max(0, Math.ceil(Math.min(x0, x0 + dx) - reach));
    const right = Math.min(size - 1, Math.floor(Math.max(x0, x0 + dx) + reach));
    const top = Math.max(0, Math.ceil(Math.min(y0, y0 + dy) - reach));
    const bottom = Math.min(size - 1, Math.floor(Math.max(y0, y0 + dy) + reach));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const px = x - x0;
        const py = y - y0;
        const t = Math.min(1, Math.max(0, (px * dx + py * dy) * inverse));
        const ex = px - t * dx;
        const ey = py - t * dy;
        const away = ex * ex + ey * ey;
        if (away >= reach * reach) continue;
        const value = ink * Math.min(1, (reach - Math.sqrt(away)) / softness);
        const at = y * size + x;
        if (value > image[at]) image[at] = value;
      }
    }
  }
}

/**
 * Points of the Catmull-Rom spline through `points`, `steps` to a span: a smooth curve through every
 * one of them.
 */
function spline(points: Polyline, steps: number): number[] {
  const last = points.length - 2;
  const curve = [points[0], points[1]];
  for (let i = 0; i < last; i += 2) {
    const before = Math.max(0, i - 2);
    const after = Math.min(last, i + 4);
    for (let s = 1; s <= steps; s++) {
      const t = s / steps;
      for (let axis = 0; axis < 2; axis++) {
        const a = points[before + axis];
        const b = points[i + axis];
        const c = points[i + 2 + axis];
        const d = points[after + axis];
        const square = 2 * a - 5 * b + 4 * c - d;
        const cube = 3 * b - a - 3 * c + d;
        curve.push(b + 0.5 * t * (c - a + t * (square + t * cube)));
      }
    }
  }
  return curve;
}
