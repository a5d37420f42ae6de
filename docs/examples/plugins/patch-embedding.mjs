/** @param {typeof import('fenchel-lifted-networks')} api */
export default ({ defineLayer, tf, withOnes, z }) =>
  // The image is cut into windows that do not overlap, and each is mapped by the same weights.
  defineLayer({
    name: 'patchEmbedding',
    summary: 'the same weights for each window of an image, without overlap',
    fields: {
      patchEmbedding: z.int().positive().max(1000).describe('channels of the output'),
      side: z.int().positive().describe('side of a window'),
    },
    output: ({ patchEmbedding, side }, [height, width]) =>
      height % side === 0 && width % side === 0
        ? [height / side, width / side, patchEmbedding]
        : `needs an image whose sides are multiples of ${side}, not ${height} x ${width}`,
    map({ side }, [height, width, channels], [rows, columns, outputs]) {
      const positions = rows * columns;
      const patch = side * side * channels;
      const strip = side * channels;
      /** [m, height * width * channels] -> [m * positions, patch], and back. */
      const cut = (x) =>
        tf.tidy(() => {
          const strips = tf.reshape(x, [-1, side, columns, strip]);
          return tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [-1, patch]);
        });
      const joined = (windows) =>
        tf.tidy(() => {
          const strips = tf.reshape(windows, [-1, columns, side, strip]);
          return tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [-1, height * width * channels]);
        });
      const byPosition = (d) => tf.reshape(d, [-1, outputs]);
      return {
        inputs: height * width * channels,
        outputs: positions * outputs,
        weightShape: [patch, outputs],
        fanOut: outputs,
        positions,
        overlap: 1,
        apply: (x, { weights, bias }) =>
          tf.tidy(() => tf.reshape(tf.add(tf.matMul(cut(x), weights), bias), [x.shape[0], -1])),
        adjoint: (d, weights) =>
          tf.tidy(() => joined(tf.matMul(byPosition(d), weights, false, true))),
        gradient: (x, d) => tf.tidy(() => tf.matMul(withOnes(cut(x)), byPosition(d), true)),
        patches: cut,
      };
    },
  });
