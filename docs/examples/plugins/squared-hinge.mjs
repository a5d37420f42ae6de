/** @param {typeof import('fenchel-lifted-networks')} api */
export default ({ defineLoss, tf }) => {
  /** Targets 0 and 1 as signs -1 and 1, [m, classes]. */
  const signs = (y) => tf.sub(tf.mul(2, y), 1);
  return defineLoss({
    // sum_k max(0, 1 - s_k u_k)^2, one class against the others.
    name: 'squared-hinge',
    curvature: 2,
    rows: (y, u) => tf.tidy(() => tf.sum(tf.square(tf.relu(tf.sub(1, tf.mul(signs(y), u)))), 1)),
    gradient: (y, u) =>
      tf.tidy(() => tf.mul(-2, tf.mul(signs(y), tf.relu(tf.sub(1, tf.mul(signs(y), u)))))),
  });
};
