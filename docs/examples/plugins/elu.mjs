/** @param {typeof import('fenchel-lifted-networks')} api */
export default ({ defineActivation, tf, xlogx }) =>
  // ELU (Clevert et al. 2016): phi(u) = u (u >= 0), e^u - 1 (u < 0);
  // F(v) = v^2/2, (1+v) ln(1+v) - v on v >= -1; F*(u) = u^2/2, e^u - 1 - u.
  defineActivation({
    name: 'elu',
    maxSlope: 1,
    phi: (u) => tf.elu(u),
    slope: (_u, v) => tf.tidy(() => tf.add(tf.minimum(v, 0), 1)),
    conjugate: (u) =>
      tf.tidy(() => {
        const left = tf.minimum(u, 0);
        return tf.add(tf.mul(0.5, tf.square(tf.relu(u))), tf.sub(tf.elu(left), left));
      }),
    float64: {
      F: (v) => (v >= 0 ? v ** 2 / 2 : xlogx(1 + v) - v),
      conjugate: (u) => (u >= 0 ? u ** 2 / 2 : Math.expm1(u) - u),
    },
  });
