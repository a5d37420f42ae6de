/** Style sheet of report.html: follows the reader's light or dark setting; the figure keeps a white card. */
export const styleSheet = `
:root { color-scheme: light dark; --ink: #222; --quiet: #595959; --line: #ddd; --page: #fff; --card: #f6f6f6; --bad: #a40000; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --quiet: #a8a8a8; --line: #444; --page: #181818; --card: #242424; --bad: #ff9a8f; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 78rem; color: var(--ink); background: var(--page);
  font: 16px/1.5 system-ui, "DejaVu Sans", Verdana, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; }
.subtitle, .note { color: var(--quiet); margin: .3rem 0; }
.note { font-size: .875rem; }
.scroll { overflow-x: auto; }
.figure { margin: 1.2rem 0; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
.figure svg { display: block; width: 100%; min-width: 50rem; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem .35rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; font-size: .875rem; }
th:first-child, td:first-child { text-align: left; }
td:first-child { font-weight: 600; }
.problems { color: var(--bad); padding-left: 1.2rem; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .15rem 1.2rem; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .875rem; }
pre { margin: 0; padding: .8rem 1rem; background: var(--card); border-radius: 6px; font-size: .8125rem; line-height: 1.45;
  overflow-x: auto; overflow-wrap: normal; }
summary { cursor: pointer; }
`.trim();
