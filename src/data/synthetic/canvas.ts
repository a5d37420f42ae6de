/** A pen line in pixel coordinates: x0, y0, x1, y1, ... */
export type Polyline = readonly number[];

/**
 * Adds a polyline, drawn with a round pen and anti-aliased, to a grey image; where lines cross, the
 * darker ink stays.
 *
 * @param image [size * size], ink in [0, 1]
 * @param radius half the pen's width, in pixels
 * @param ink darkness of the line's core
 * @param softness width of the line's edge, in pixels
 */
export function drawPolyline(
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
export function spline(points: Polyline, steps: number): number[] {
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
