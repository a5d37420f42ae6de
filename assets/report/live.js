// Keeps a page of `fln serve` up to date: asks for what has changed since its version, and shows it.

const live = document.querySelector('#live');
/** ms between two requests; more where an answer takes long. */
const pause = 2000;
let version = live.dataset.version;
/** The numbers of the drawings. */
let chartData = dataOf('.chart-data');
let layersData = dataOf('.layers-data');

next(pause);

function next(wait) {
  setTimeout(poll, wait);
}

async function poll() {
  // A page in the background is brought up to date when it is looked at.
  if (document.hidden) {
    document.addEventListener('visibilitychange', poll, { once: true });
    return;
  }
  const start = performance.now();
  try {
    const url = new URL(live.dataset.url, location.href);
    url.searchParams.set('since', version);
    const response = await fetch(url);
    if (!response.ok) throw new Error((await response.text()).trim());
    show(await response.json());
    live.textContent = `Updated at ${new Date().toLocaleTimeString()}.`;
    live.classList.remove('problems');
  } catch (error) {
    const isGone = error instanceof TypeError;
    live.textContent = isGone ? 'fln serve has ended, or does not answer.' : error.message;
    live.classList.add('problems');
  }
  next(Math.max(pause, 5 * (performance.now() - start)));
}

/** @param update parts of the page that are different, and numbers that were added to drawings */
function show(update) {
  version = update.version;
  for (const [name, html] of Object.entries(update.parts ?? {})) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (part) replace(part, html);
  }
  if (update.charts) {
    const { from, data } = update.charts;
    data.curves.forEach((curve, i) => {
      curve.points = [...chartData.curves[i].points.slice(0, from[i]), ...curve.points];
    });
    chartData = data;
    document.querySelector('.charts').showData(data);
  }
  if (update.layers) {
    const methods = update.layers.methods.map((method, i) => method ?? layersData.methods[i]);
    layersData = { ...layersData, methods };
    document.querySelector('.layers').showData(layersData);
  }
}

/** Replaces a part; what is chosen, sorted and hidden in it remains so. */
function replace(part, html) {
  const chosen = new Set([...part.querySelectorAll('input:checked')].map(({ value }) => value));
  const hidden = [...part.querySelectorAll('.legend [aria-pressed="false"]')].map(
    (button) => button.dataset.name,
  );
  const sorted = [...part.querySelectorAll('table.sortable')].map((table) => {
    const head = table.querySelector('th[aria-sort]');
    return head && { column: head.cellIndex, order: head.ariaSort };
  });
  const { scrollLeft } = part.querySelector('.scroll') ?? { scrollLeft: 0 };
  part.innerHTML = html;
  for (const input of part.querySelectorAll('input')) input.checked = chosen.has(input.value);
  part.querySelectorAll('table.sortable').forEach((table, i) => {
    makeSortable(table);
    if (!sorted[i]) return;
    const head = table.tHead.rows[0].cells[sorted[i].column];
    for (let clicks = 0; clicks < 2 && head?.ariaSort !== sorted[i].order; clicks++) {
      head?.querySelector('button').click();
    }
  });
  const scroll = part.querySelector('.scroll');
  if (scroll) scroll.scrollLeft = scrollLeft;
  const layers = part.querySelector('.layers');
  if (layers) {
    layersData = dataOf('.layers-data');
    layers.showData = drawLayers(layers);
  }
  const charts = part.querySelector('.charts');
  if (!charts) return;
  chartData = dataOf('.chart-data');
  charts.showData = drawCharts(charts);
  for (const button of charts.querySelectorAll('.legend button')) {
    if (hidden.includes(button.dataset.name)) button.click();
  }
}

function dataOf(selector) {
  const element = document.querySelector(selector);
  return element && JSON.parse(element.textContent);
}
