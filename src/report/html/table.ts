import { escapeHtml } from '../../shared/text.js';
import type { Cell } from '../table.js';

/** A cell, which sorts by its value where it has one, and where it leads. */
export interface LinkedCell extends Cell {
  /** A relative path. */
  readonly href?: string;
}

export interface HtmlTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly LinkedCell[])[];
  /** How many columns, from the first, hold words and are aligned to the left. */
  readonly words?: number;
  /** Row to point out. */
  readonly best?: number;
}

/** A table that sorts by a column when its head is clicked; a plain one without scripts. */
export function sortableTable({ head, rows, words = 1, best }: HtmlTable): string {
  const align = (column: number) => (column < words ? ' class="words"' : '');
  const heads = head.map((text, i) => `<th scope="col"${align(i)}>${escapeHtml(text)}</th>`);
  const lines = rows.map((cells, row) => {
    const tds = cells.map((cell, i) => `<td${align(i)}${sortValue(cell)}>${content(cell)}</td>`);
    return `<tr${row === best ? ' class="best"' : ''}>${tds.join('')}</tr>`;
  });
  return `<div class="scroll"><table class="sortable">
<thead><tr>${heads.join('')}</tr></thead>
<tbody>
${lines.join('\n')}
</tbody>
</table></div>`;
}

const sortValue = ({ value }: Cell) => (value === undefined ? '' : ` data-value="${value}"`);

function content({ text, href }: LinkedCell): string {
  if (href === undefined) return escapeHtml(text);
  const url = href.split('/').map(encodeURIComponent).join('/');
  return `<a href="${escapeHtml(url)}">${escapeHtml(text)}</a>`;
}
