import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { activationNames } from '../core/network/names.js';
import { UsageError } from '../errors.js';
import { style } from '../report/figure-style.js';
import { htmlPage, pageAssets } from '../report/html/page.js';
import { packageRoot } from '../shared/provenance.js';
import { explanation } from './explanation.js';
import { experimentFields, methodForms } from './form.js';
import type { PageData, PlaygroundExperiment } from './protocol.js';

/** Scripts of browser/, bundled by `npm run build`. */
export interface Scripts {
  readonly page: string;
  readonly worker: string;
}

/** Where `npm run build` writes the scripts: beside this file. */
const built = dirname(fileURLToPath(import.meta.url));

/** @throws UsageError where the program was not built */
export function readScripts(folder = built): Scripts {
  const [page, worker] = ['page.js', 'worker.js'].map((name) => join(folder, 'browser', name));
  if (!existsSync(page) || !existsSync(worker)) {
    throw new UsageError('the scripts of the playground are not built: npm run build');
  }
  return { page: readFileSync(page, 'utf8'), worker: readFileSync(worker, 'utf8') };
}

/**
 * The playground as one HTML page that loads nothing: scripts, WebAssembly and styles are inside it.
 * @param experiment that the page opens with
 */
export function playgroundHtml(experiment: PlaygroundExperiment, scripts: Scripts): string {
  const curves = Array.from({ length: 7 }, (_, i) => style(i));
  const colors = (dark: boolean) =>
    curves.map((curve, i) => `--curve-${i}:${dark ? curve.darkColor : curve.textColor}`).join(';');
  const data: PageData = {
    experiment,
    methods: methodForms(),
    experimentFields: experimentFields(),
    activations: activationNames,
    dashes: curves.map(({ dash }) => dash),
  };
  const parts = {
    worker: Buffer.from(scripts.worker),
    simd: binary('tfjs-backend-wasm-simd.wasm'),
    plain: binary('tfjs-backend-wasm.wasm'),
  };
  const embedded = Object.entries(parts).map(
    ([name, bytes]) =>
      `<script type="application/gzip" id="part-${name}">${gzipSync(bytes, { level: 9 }).toString('base64')}</script>`,
  );
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  return htmlPage({
    title: 'Fenchel lifted networks: a playground',
    subtitle:
      'Networks that train in this page, on this machine: the lifted method beside Adam and SGD. Nothing is loaded and nothing is sent.',
    main: [
      skeleton,
      ...embedded,
      `<script type="application/json" id="page-data">${json}</script>`,
    ],
    styles: [
      pageAssets.chartStyle(),
      `:root{${colors(false)}}@media(prefers-color-scheme:dark){:root{${colors(true)}}}`,
      readFileSync(join(packageRoot, 'assets', 'playground', 'style.css'), 'utf8'),
    ],
    scripts: [scripts.page],
    hasWorker: true,
  });
}

const require = createRequire(import.meta.url);
const binary = (name: string) =>
  readFileSync(join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')), name));

const panel = (id: string, title: string) =>
  `<div class="panel"><h3>${title}</h3><div class="curve" id="${id}" role="img" aria-label="${title}"></div></div>`;

/** What the page's script fills. */
const skeleton = `<noscript><p class="problems">The playground needs JavaScript.</p></noscript>
<div class="bar" role="group" aria-label="training">
<button type="button" id="run" class="primary">Train</button>
<button type="button" id="one-batch">One batch</button>
<button type="button" id="one-block" hidden>One block</button>
<button type="button" id="reset">Reset</button>
<label>seed <input id="seed" type="number" min="1" max="2147483647" step="1" required></label>
<progress id="done" max="1" value="0" aria-label="share of the batches done"></progress>
<span id="count"></span>
<output id="status">Starting …</output>
</div>
<div role="alert"><ul class="problems" id="problems" hidden></ul></div>
<div class="workbench">
<div class="views">
<section aria-labelledby="curves-title"><h2 id="curves-title">Training</h2>
<ul class="legend" id="legend"></ul>
<div class="panels">${panel('accuracy-batch', 'Test accuracy, against batches')}${panel('accuracy-seconds', 'Test accuracy, against seconds of training')}${panel('loss-batch', 'Test loss, against batches')}${panel('loss-seconds', 'Test loss, against seconds of training')}</div>
</section>
<section aria-labelledby="layers-title"><h2 id="layers-title">Inside the layers</h2>
<p><label>method <select id="looked"></select></label></p>
<div id="algorithm"></div>
<div class="layer-panels" id="layer-curves"></div>
<p class="note" id="layers-note"></p>
<div id="histograms" class="histograms"></div>
<div id="pictures" class="pictures"></div>
</section>
<section aria-labelledby="draw-title"><h2 id="draw-title">Draw a digit</h2>
<div class="draw"><div><canvas id="pad" width="280" height="280" tabindex="0" role="application" aria-label="Drawing area, 28 by 28 pixels: draw with mouse, finger or pen; with the keyboard, arrow keys move, space draws, Escape clears"></canvas>
<p><button type="button" id="clear">Clear</button> <button type="button" id="example">A test image</button></p></div>
<div class="guess"><output id="guess">–</output><div id="bars"></div><div id="fired" class="pictures"></div></div></div>
</section>
</div>
<section class="settings" aria-labelledby="settings-title"><h2 id="settings-title">Settings</h2><div id="settings"></div></section>
</div>
<section aria-labelledby="yaml-title"><h2 id="yaml-title">The experiment</h2>
<p>Save it as <code>experiment.yaml</code>; <code>npx fln run experiment.yaml</code> trains it under Node, to the same numbers. <button type="button" id="copy">Copy as YAML</button> <output id="copied"></output></p>
<pre tabindex="0" role="region" aria-label="the experiment as YAML"><code id="yaml"></code></pre>
<div class="drop" id="drop"><p>Drop the four files of MNIST here or anywhere on the page, plain or gzipped (<code>train-images-idx3-ubyte.gz</code> …), or <label class="pick">choose them <input type="file" id="files" multiple></label>. They stay in this page.</p><output id="data-status"></output></div>
</section>
<section class="explanation" aria-labelledby="what-title"><h2 id="what-title">What is a Fenchel lifted network?</h2>
${explanation}
</section>`;
