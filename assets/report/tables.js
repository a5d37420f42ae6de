// Tables of the class "sortable" sort by a column when its head is clicked.

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const order = head.ariaSort === 'ascending' ? 'descending' : 'ascending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.ariaSort = order;
      const rows = [...body.rows];
      rows.sort((a, b) =>
        compare(a.cells[column], b.cells[column], order === 'ascending' ? 1 : -1),
      );
      body.append(...rows);
    });
  });
}

/** Cells with data-value sort by that number, those without last; other columns by their text. */
function compare(a, b, sign) {
  const [x, y] = [a, b].map((cell) => Number.parseFloat(cell.dataset.value ?? ''));
  if (Number.isNaN(x) && Number.isNaN(y)) {
    return sign * a.textContent.localeCompare(b.textContent, 'en', { numeric: true });
  }
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return sign * (x - y);
}

for (const table of document.querySelectorAll('table.sortable')) makeSortable(table);
