import type { FromWorker } from '../protocol.js';
import { byId, make, number, say } from './dom.js';
import { figure, tiles } from './pictures.js';

const side = 28;
const zoom = 10;

/** The drawing area: an image of 28 x 28 pixels, classified as it is drawn. */
export class Pad {
  readonly #pixels = new Uint8Array(side * side);
  readonly #canvas = byId<HTMLCanvasElement>('pad');
  #last: readonly [number, number] | undefined;
  /** Of the keyboard: where it draws, and whether. */
  #cursor: [number, number] = [14, 6];
  #isDown = false;
  #isDue = false;

  /** @param classify asks for the classes of an image; `example` gives an image of the data set */
  constructor(
    readonly classify: (pixels: Uint8Array) => void,
    readonly example: () => ArrayLike<number> | undefined,
  ) {
    const canvas = this.#canvas;
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#last = this.#at(event);
      this.#stroke(this.#last);
      event.preventDefault();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (this.#last) this.#stroke(this.#at(event));
    });
    for (const name of ['pointerup', 'pointercancel'] as const) {
      canvas.addEventListener(name, () => {
        this.#last = undefined;
      });
    }
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('blur', () => this.#paint());
    canvas.addEventListener('focus', () => this.#paint());
    byId('clear').addEventListener('click', () => this.clear());
    byId('example').addEventListener('click', () => this.#show());
    this.#paint();
  }

  clear(): void {
    this.#pixels.fill(0);
    this.#changed();
  }

  /** Asks again: the weights have changed. */
  refresh(): void {
    if (this.#pixels.some((value) => value > 0)) this.#changed();
  }

  #show(): void {
    const image = this.example();
    if (!image) return;
    for (let i = 0; i < image.length; i++) this.#pixels[i] = Math.round(255 * image[i]);
    this.#changed();
  }

  #at({ clientX, clientY }: PointerEvent): readonly [number, number] {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [((clientX - left) / width) * side, ((clientY - top) / height) * side];
  }

  #key(event: KeyboardEvent): void {
    const moves: Record<string, readonly [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    if (move) {
      this.#last = this.#cursor;
      const within = (value: number) => Math.min(side - 1, Math.max(0, value));
      this.#cursor = [within(this.#cursor[0] + move[0]), within(this.#cursor[1] + move[1])];
      if (this.#isDown) this.#stroke(this.#cursor);
      this.#last = undefined;
    } else if (event.key === ' ') {
      this.#isDown = !this.#isDown;
      if (this.#isDown) this.#stroke(this.#cursor);
    } else if (event.key === 'Escape') this.clear();
    else return;
    event.preventDefault();
    this.#paint();
  }

  /** Ink along a line from the last place, with a round pen of the width of the digits. */
  #stroke(to: readonly [number, number]): void {
    const from = this.#last ?? to;
    if (this.#last) this.#last = to;
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const length = dx * dx + dy * dy;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const [px, py] = [x + 0.5 - from[0], y + 0.5 - from[1]];
        const t = length > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const away = Math.hypot(px - t * dx, py - t * dy);
        const ink = Math.round(255 * Math.min(1, Math.max(0, 1.7 - away)));
        const i = y * side + x;
        if (ink > this.#pixels[i]) this.#pixels[i] = ink;
      }
    }
    this.#changed();
  }

  #changed(): void {
    this.#paint();
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.classify(this.#pixels.slice());
    });
  }

  #paint(): void {
    const context = this.#canvas.getContext('2d');
    if (!context) return;
    for (let i = 0; i < side * side; i++) {
      const level = this.#pixels[i];
      context.fillStyle = `rgb(${level},${level},${level})`;
      context.fillRect((i % side) * zoom, Math.floor(i / side) * zoom, zoom, zoom);
    }
    if (document.activeElement !== this.#canvas) return;
    context.strokeStyle = this.#isDown ? '#ff9150' : '#4fa8de';
    context.lineWidth = 2;
    context.strokeRect(
      Math.floor(this.#cursor[0]) * zoom,
      Math.floor(this.#cursor[1]) * zoom,
      zoom,
      zoom,
    );
  }
}

/** The class that a method gives an image, its probabilities, and the hidden units that fired. */
export function showClasses({
  label,
  outputs,
  hidden,
}: Extract<FromWorker, { type: 'classified' }>): void {
  const best = outputs.indexOf(Math.max(...outputs));
  say('guess', `${label}: ${best}`);
  const largest = Math.max(...outputs.map(Math.abs), 1e-9);
  const bars = outputs.map((value, digit) => {
    const bar = make('span', { className: 'bar-fill' });
    bar.style.width = `${(100 * Math.max(0, value)) / Math.max(1, largest)}%`;
    const row = make(
      'div',
      { className: 'bar-row' },
      String(digit),
      make('span', { className: 'bar-space' }, bar),
      number(value, 2),
    );
    row.classList.toggle('best', digit === best);
    return row;
  });
  byId('bars').replaceChildren(...bars);
  const fired = hidden.map((values, l) => {
    const count = values.filter((value) => value > 0).length;
    const width = Math.ceil(Math.sqrt(values.length));
    const caption = `hidden layer ${l + 1}: ${count} of ${values.length} units positive`;
    return figure(
      caption,
      tiles([values], { width, columns: 1, alt: caption }),
      Math.max(2, Math.round(110 / width)),
    );
  });
  byId('fired').replaceChildren(...fired);
}
