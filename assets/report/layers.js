// The panels of layers.csv: one curve per layer. uPlot draws, and its legend reads the values off.

/**
 * Draws the data in an element `.layers`.
 * @returns a function that shows other data of the same layers and columns
 */
function drawLayers(root) {
  const data = JSON.parse(root.querySelector('.layers-data').textContent);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const variable = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) =>
    value == null ? '' : value.toLocaleString('en-US', { maximumSignificantDigits: 3 });
  const tick = (value) =>
    value == null || value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4)
      ? short(value)
      : value.toExponential(0);
  const read = (value) =>
    value == null
      ? '–'
      : Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5
        ? short(value)
        : value.toExponential(2);

  document.documentElement.classList.add('layered');
  const plots = [...root.querySelectorAll('section')].map((section, m) => {
    const { batches, panels } = data.methods[m];
    return [...section.querySelectorAll('.layer-plot')].map((element, p) => {
      const { log, values } = panels[p];
      const axis = {
        stroke: () => variable('--quiet'),
        font: '11px system-ui, sans-serif',
        grid: { stroke: () => variable('--line'), width: 1 },
        ticks: { stroke: () => variable('--line'), width: 1 },
      };
      const size = () => ({ width: Math.max(180, element.clientWidth), height: 170 });
      const plot = new uPlot(
        {
          ...size(),
          padding: [8, 12, 0, 0],
          scales: { x: { time: false }, y: log ? { distr: 3 } : { range: [0, 1] } },
          cursor: { sync: { key: `layers-${m}` }, y: false },
          series: [
            { label: 'batch', value: (_, batch) => short(batch) },
            ...values.map((curve, l) => ({
              label: data.layers[l].name,
              stroke: () => (scheme.matches ? data.layers[l].darkColor : data.layers[l].color),
              width: 1.5,
              spanGaps: true,
              // A curve without values has no entry in the legend.
              show: curve.some((value) => value !== null),
              class: curve.some((value) => value !== null) ? 'measured' : 'unmeasured',
              points: { show: (plot) => plot.data[0].length < 3 },
              value: (_, value) => read(value),
            })),
          ],
          axes: [
            { ...axis, grid: { show: false }, size: 26, values: (_, ticks) => ticks.map(short) },
            {
              ...axis,
              // Of a logarithmic scale, only powers of ten.
              grid: {
                ...axis.grid,
                filter: (_, splits) =>
                  splits.map((at) => (log && Math.log10(at) % 1 !== 0 ? null : at)),
              },
              size: 56,
              values: (_, ticks) => ticks.map(tick),
            },
          ],
        },
        [batches, ...values],
        element,
      );
      new ResizeObserver(() => plot.setSize(size())).observe(element);
      return plot;
    });
  });
  scheme.addEventListener('change', () => {
    for (const plot of plots.flat()) plot.redraw(false, true);
  });
  return ({ methods }) => {
    methods.forEach(({ batches, panels }, m) => {
      plots[m].forEach((plot, p) => {
        plot.setData([batches, ...panels[p].values]);
      });
    });
  };
}

for (const root of document.querySelectorAll('.layers')) root.showData = drawLayers(root);
