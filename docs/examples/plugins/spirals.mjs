/** Two spirals with noise; generated, so that no file is needed. */

/** @param {typeof import('fenchel-lifted-networks')} api */
export default ({ defineDataset, Random }) => {
  /** Independent of the experiment's seed; the first n rows do not depend on `count`. */
  const draw = (split, count) => {
    const images = new Uint8Array(2 * count);
    const labels = new Uint8Array(count);
    const random = new Random(1, `spirals/${split}`);
    for (let i = 0; i < count; i++) {
      labels[i] = i % 2;
      const radius = random.uniform();
      const angle = 2.5 * Math.PI * radius + Math.PI * labels[i];
      images[2 * i] = 128 + 100 * radius * Math.cos(angle) + 2 * random.normal();
      images[2 * i + 1] = 128 + 100 * radius * Math.sin(angle) + 2 * random.normal();
    }
    return { images, labels };
  };
  return defineDataset({
    name: 'spirals',
    title: 'Two spirals (generated)',
    shape: [1, 1, 2],
    classes: 2,
    trainSize: 1000,
    testSize: 200,
    load: (rows) => ({ train: draw('train', rows.train), test: draw('test', rows.test) }),
  });
};
