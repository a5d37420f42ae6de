/** Small helpers for building the page. */

export function byId<E extends HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as E;
}

/** Text of an output, which a screen reader reads out: only where it is new. */
export function say(id: string, text: string): void {
  const output = byId<HTMLOutputElement>(id);
  if (output.value !== text) output.value = text;
}

/** An element with properties and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> & {
    readonly dataset?: Record<string, string>;
  } = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const { dataset, ...plain } = properties;
  const element = Object.assign(document.createElement(name), plain);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

export const dark = matchMedia('(prefers-color-scheme: dark)');

/** A colour of the page's style sheet. */
export const variable = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const number = (value: number, digits = 3): string =>
  value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6)
    ? value.toLocaleString('en-US', { maximumSignificantDigits: digits })
    : value.toExponential(digits - 1);

/** What a script of the page has in one of its elements, gzipped. */
export async function embedded(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = byId(`part-${name}`).textContent ?? '';
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
