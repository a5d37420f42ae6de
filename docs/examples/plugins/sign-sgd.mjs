/** @param {typeof import('fenchel-lifted-networks')} api */
export default ({
  accuracyValue,
  compiled,
  defineMethod,
  fields,
  forwardLayers,
  initializeParameters,
  losses,
  lossValue,
  splitBias,
  tf,
}) => {
  // Sign SGD (Bernstein et al. 2018): P <- P - learningRate sign(gradient).
  const update = compiled(({ network, config, loss }, { parameters, x, y }) => {
    const { inputs, preActivations } = forwardLayers(network, parameters, x);
    const outputs = preActivations[preActivations.length - 1];
    const stepped = (value, gradient) =>
      tf.sub(value, tf.mul(config.learningRate, tf.sign(gradient)));
    const next = [...parameters];
    let d = tf.div(losses[loss].gradient(y, outputs), x.shape[0]);
    for (let l = parameters.length - 1; l >= 0; l--) {
      const { weights, bias } = parameters[l];
      const gradient = splitBias(network.maps[l].gradient(inputs[l], d));
      next[l] = { weights: stepped(weights, gradient.weights), bias: stepped(bias, gradient.bias) };
      if (l === 0) break;
      const slope = network.activations[l - 1].slope(preActivations[l - 1], inputs[l]);
      d = tf.mul(network.maps[l].adjoint(d, weights), slope);
    }
    const scores = tf.stack([lossValue(loss, y, outputs), accuracyValue(y, outputs)]);
    return { parameters: next, scores };
  });
  return defineMethod({
    name: 'sign-sgd',
    summary: 'gradient descent by the signs of the gradient',
    fields: {
      learningRate: fields.learningRate.default(0.002),
      initializer: fields.initializer.default('he'),
      bias: fields.bias.default(0),
    },
    presets: { fast: { learningRate: 0.01 } },
    init: ({ network, config, random }) => ({
      parameters: initializeParameters(network, config, random),
    }),
    async step(context, _constants, { parameters }, { x, y }) {
      const { scores, ...state } = update(context, { parameters, x, y });
      const [loss, accuracy] = await scores.data();
      return { state, metrics: { loss, accuracy } };
    },
    parameters: ({ parameters }) => parameters,
  });
};
