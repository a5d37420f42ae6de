// The interactive figure: curves can be hidden, read off and zoomed into. uPlot draws; the static
// figure stays for print, and for readers without scripts.

const decades = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1];
const halves = Array.from({ length: 18 }, (_, k) => 1 + k / 2);
const dark = matchMedia('(prefers-color-scheme: dark)');
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draws the data in an element `.charts`.
 * @returns a function that shows other data with as many curves, in panels of the same kind
 */
function drawCharts(root) {
  let data = JSON.parse(root.querySelector('.chart-data').textContent);
  const stroke = (i) => (dark.matches ? data.curves[i].darkColor : data.curves[i].color);
  const shown = data.curves.map(() => true);
  const readout = root.querySelector('.readout');
  const reset = root.querySelector('.reset');

  const legend = data.curves.map((curve, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.ariaPressed = 'true';
    const swatch = svg('svg', { width: 26, height: 10, 'aria-hidden': 'true' });
    const line = { x1: 0, y1: 5, x2: 26, y2: 5, 'stroke-width': 2.5 };
    swatch.append(svg('line', { ...line, 'stroke-dasharray': curve.dash.join(' ') }));
    const name = document.createTextNode(curve.name);
    button.dataset.name = curve.name;
    const value = document.createElement('output');
    button.append(swatch, name, value);
    button.addEventListener('click', () => {
      shown[i] = !shown[i];
      button.ariaPressed = String(shown[i]);
      for (const chart of charts) chart.setShown(i, shown[i]);
    });
    const item = document.createElement('li');
    item.append(button);
    root.querySelector('.legend').append(item);
    return { swatch, name, value };
  });

  // Charts report their scales while they are made.
  let charts = [];
  charts = [...root.querySelectorAll('.plot')].map(drawPanel);
  reset.addEventListener('click', () => {
    for (const chart of charts) chart.reset();
  });
  dark.addEventListener('change', paint);
  paint();
  document.documentElement.classList.add('interactive');
  for (const chart of charts) chart.fit();
  return (next) => {
    data = next;
    legend.forEach(({ name }, i) => {
      name.data = data.curves[i].name;
    });
    for (const chart of charts) chart.update();
  };

  function paint() {
    legend.forEach(({ swatch }, i) => {
      swatch.firstChild.setAttribute('stroke', stroke(i));
    });
    for (const chart of charts) chart.redraw();
  }

  function drawPanel(element, index) {
    const panel = () => data.panels[index];
    const { x, log, axisTitle } = panel();
    const tables = () =>
      data.curves.map((curve) => {
        const points = curve.points.filter(
          (point) => Number.isFinite(point[x]) && (!log || point[x] > 0),
        );
        const column = (name) => points.map((point) => place(point[name]));
        return [points.map((point) => point[x]), column('value'), column('low'), column('high')];
      });
    const axis = { stroke: () => color('--quiet'), font: '12px system-ui, sans-serif' };
    const lines = {
      grid: { stroke: () => color('--line'), width: 1 },
      ticks: { stroke: () => color('--line'), width: 1 },
    };
    const wholeRange = () => ({
      x: panel().domain,
      y: data.isAccuracy ? data.range.map((error) => place(1 - error)) : data.range,
    });
    let range = wholeRange();
    const options = {
      ...sizeOf(element),
      legend: { show: false },
      padding: [10, 24, 0, 0],
      scales: {
        x: {
          time: false,
          distr: log ? 3 : 1,
          auto: false,
          range: (_, min, max) => [min ?? range.x[0], max ?? range.x[1]],
        },
        y: { auto: false, range: (_, min, max) => [min ?? range.y[0], max ?? range.y[1]] },
      },
      series: [
        {},
        ...data.curves.flatMap((curve, i) => [
          {
            stroke: () => stroke(i),
            width: 2,
            dash: curve.dash,
            spanGaps: true,
            points: { show: false },
          },
          { spanGaps: true, points: { show: false } },
          { spanGaps: true, points: { show: false } },
        ]),
      ],
      bands: data.curves.flatMap((curve, i) =>
        curve.seeds > 1 ? [{ series: [3 * i + 3, 3 * i + 2], fill: () => `${stroke(i)}30` }] : [],
      ),
      axes: [
        {
          ...axis,
          ...lines,
          grid: { show: false },
          label: axisTitle,
          size: 34,
          labelSize: 20,
          labelFont: axis.font,
          values: (_, ticks) => ticks.map(plain),
        },
        {
          ...axis,
          ...lines,
          size: 64,
          ...(data.isAccuracy && { splits: (_, __, min, max) => splits(min, max) }),
          values: (_, ticks) => ticks.map(tickLabel),
        },
      ],
      cursor: {
        drag: { x: true, y: true, uni: 40 },
        // A marker on each curve; none on the edges of its band.
        points: {
          size: (_, series) => (series % 3 === 1 ? 8 : 0),
          width: 0,
          fill: (_, series) => stroke(Math.floor((series - 1) / 3)),
        },
        dataIdx: nearest,
        bind: { dblclick: () => () => chart.reset() },
      },
      hooks: {
        setCursor: [(plot) => read(plot, panel())],
        setScale: [markZoom],
      },
    };
    const plot = new uPlot(options, uPlot.join(tables()), element);
    const chart = {
      reset() {
        plot.batch(() => {
          for (const [key, [min, max]] of Object.entries(range)) plot.setScale(key, { min, max });
        });
      },
      isZoomed: () =>
        Object.entries(range).some(([key, [min, max]]) => {
          const scale = plot.scales[key];
          return !near(scale.min, min) || !near(scale.max, max);
        }),
      setShown(i, show) {
        for (const k of [1, 2, 3]) plot.setSeries(3 * i + k, { show });
      },
      redraw: () => plot.redraw(false, true),
      update() {
        const isZoomed = chart.isZoomed();
        range = wholeRange();
        plot.setData(uPlot.join(tables()), false);
        if (isZoomed) markZoom();
        else chart.reset();
      },
      fit: () => plot.setSize(sizeOf(element)),
    };
    chart.reset();
    new ResizeObserver(chart.fit).observe(element);
    element.addEventListener('keydown', (event) => step(event, plot));
    element.addEventListener('blur', () => plot.setCursor({ left: -10, top: -10 }));
    return chart;
  }

  /** Values under the cursor: each visible curve at its own nearest point. */
  function read(plot, panel) {
    const { left, idx } = plot.cursor;
    const isOver = left !== undefined && left >= 0 && idx !== null && idx !== undefined;
    const x = isOver && plot.posToVal(left, 'x');
    readout.textContent = isOver
      ? `${panel.axisTitle.split(',')[0]}: ${plain(panel.x === 'batch' ? Math.round(x) : x)}`
      : readout.dataset.idle;
    legend.forEach(({ value }, i) => {
      const at = isOver && shown[i] ? nearest(plot, 3 * i + 1, idx) : null;
      const y = at === null ? null : plot.data[3 * i + 1][at];
      value.textContent = y === null || y === undefined ? '' : valueText(y);
    });
  }

  /** Arrow keys move the cursor, Escape resets the zoom. */
  function step(event, plot) {
    const width = plot.over.clientWidth;
    const moves = { ArrowLeft: -width / 100, ArrowRight: width / 100, Home: -width, End: width };
    if (event.key === 'Escape') for (const chart of charts) chart.reset();
    if (!(event.key in moves)) return;
    event.preventDefault();
    const from = plot.cursor.left >= 0 ? plot.cursor.left : width / 2;
    const left = Math.max(0, Math.min(width - 1, from + moves[event.key]));
    plot.setCursor({ left, top: plot.over.clientHeight / 2 });
  }

  function markZoom() {
    reset.hidden = !charts.some((chart) => chart.isZoomed());
  }

  /** The error 1 - accuracy on a logarithmic scale, downwards: small errors need room. */
  function place(accuracy) {
    if (!data.isAccuracy) return accuracy;
    return -Math.log10(Math.max(data.floor || 1e-9, 1 - accuracy));
  }
  function accuracyOf(y) {
    const error = 10 ** -y;
    return data.floor && error <= data.floor * 1.0001 ? 1 : 1 - error;
  }
  function valueText(y) {
    return data.isAccuracy ? `${(100 * accuracyOf(y)).toFixed(2)} %` : plain(y);
  }
  function tickLabel(y) {
    if (!data.isAccuracy) return plain(y);
    return `${Number((100 * accuracyOf(y)).toFixed(3))} %`;
  }
}

/** The joined table has a row for every place of any curve; a curve is read at its nearest own one. */
function nearest(plot, series, idx) {
  if (series === 0 || idx === null || idx === undefined) return idx;
  const values = plot.data[series];
  for (let away = 0; away < values.length; away++) {
    if (values[idx - away] != null) return idx - away;
    if (values[idx + away] != null) return idx + away;
  }
  return idx;
}

/** Round accuracies between two places, a handful however far one zooms in. */
function splits(min, max) {
  const [low, high] = [10 ** -max, 10 ** -min];
  for (const digits of [[1], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], halves]) {
    const found = decades
      .flatMap((d) => digits.map((k) => k * d))
      .filter((e) => e >= low * 0.999 && e <= high * 1.001);
    if (found.length >= 5) return found.map((e) => -Math.log10(e)).sort((a, b) => a - b);
  }
  const step =
    [5e-2, 2e-2, 1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5].find(
      (s) => (high - low) / s >= 4,
    ) ?? 1e-5;
  const found = [];
  for (let e = Math.ceil(low / step) * step; e <= high && found.length < 50; e += step)
    found.push(-Math.log10(e));
  return found.reverse();
}

function plain(value) {
  return value == null ? '' : value.toLocaleString('en-US', { maximumSignificantDigits: 4 });
}
function near(a, b) {
  return Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b));
}
function sizeOf(element) {
  return {
    width: Math.max(200, element.clientWidth),
    height: Math.max(280, Math.min(440, element.clientWidth * 0.75)),
  };
}
function svg(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

for (const root of document.querySelectorAll('.charts')) root.showData = drawCharts(root);
