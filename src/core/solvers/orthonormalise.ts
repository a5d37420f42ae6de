/**
 * Makes the rows of a [rows, size] row-major matrix orthonormal, in place: modified Gram-Schmidt,
 * twice, which keeps them orthogonal to rounding (Giraud, Langou and Rozloznik 2005). A row that
 * depends on the ones before it becomes zero.
 */
export function orthonormaliseRows(matrix: Float64Array, rows: number, size: number): void {
  for (let i = 0; i < rows; i++) {
    const row = matrix.subarray(i * size, (i + 1) * size);
    const before = Math.sqrt(dot(row, row));
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = matrix.subarray(j * size, (j + 1) * size);
        const overlap = dot(row, other);
        for (let k = 0; k < size; k++) row[k] -= overlap * other[k];
      }
    }
    const after = Math.sqrt(dot(row, row));
    const scale = after > 1e-12 * before ? 1 / after : 0;
    for (let k = 0; k < size; k++) row[k] *= scale;
  }
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}
