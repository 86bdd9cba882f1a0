"""How pages and drawings look: light and dark, on a screen and on paper. Nothing is loaded from elsewhere."""

from typing import Final

# Free of what markup would have to escape, so that it reads the same in HTML and in XML.
STYLE: Final = """
:root { color-scheme: light dark;
  --paper: #ffffff; --panel: #f4f6f8; --ink: #171b21; --dim: #58616d; --line: #d3d9e0;
  --blue: #0a5fa8; --orange: #b34700; --good: #1b6e3c; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --panel: #1e232a; --ink: #e8ebef; --dim: #a3adb9; --line: #3a424d;
  --blue: #6cb6f5; --orange: #f5a15c; --good: #7fd19b; --bad: #ff9c94; } }
@media print { :root { color-scheme: light;
  --paper: #ffffff; --panel: #ffffff; --ink: #000000; --dim: #444444; --line: #bbbbbb;
  --blue: #0a5fa8; --orange: #b34700; --good: #1b6e3c; --bad: #b3261e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .35rem 0; max-width: 46rem; }
p.note, figcaption, .dim { color: var(--dim); }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
figure { margin: .75rem 0; }
.wide { overflow-x: auto; }
svg { display: block; font: 12px system-ui, sans-serif; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .75rem 0; }
dl.facts dt { color: var(--dim); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
ul.tiles { list-style: none; display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  padding: 0; margin: 1rem 0; }
ul.tiles li { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
ul.tiles b { display: block; font-size: 1.6rem; font-weight: 600; font-variant-numeric: tabular-nums; }
ul.tiles span { display: block; color: var(--dim); font-size: .87rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
caption { text-align: left; color: var(--dim); padding: .25rem 0; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th, time, td.number { white-space: nowrap; } th code { overflow-wrap: normal; } td { max-width: 28rem; }
thead th { color: var(--dim); font-weight: 600; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; }
summary { cursor: pointer; color: var(--dim); }
.good { color: var(--good); } .bad { color: var(--bad); }
text:not([fill]) { fill: var(--ink); } text.row { text-anchor: end; } text.tick { text-anchor: middle; fill: var(--dim); }
text.row.tick { text-anchor: end; } text.cell { text-anchor: middle; font-variant-numeric: tabular-nums; }
text.unit, text.small { fill: var(--dim); } text.title, text.heading { font-weight: 600; } text.heading { font-size: 15px; }
rect.paper { fill: var(--paper); } rect.bar { fill: var(--blue); }
rect.missing { fill: none; stroke: var(--line); stroke-dasharray: 3 2; }
line.grid { stroke: var(--line); stroke-width: 1; }
.base line { stroke: var(--dim); stroke-width: 1.5; stroke-dasharray: 4 3; }
.line polyline { fill: none; stroke: var(--blue); stroke-width: 2; } .line circle { fill: var(--blue); }
.line polygon { fill: var(--blue); opacity: .16; }
.line.second polyline { stroke: var(--orange); stroke-dasharray: 6 3; } .line.second circle { fill: var(--orange); }
text.name { fill: var(--blue); } text.name.second { fill: var(--orange); }
@media print { body { max-width: none; padding: 0; font-size: 11px; }
  svg { max-width: 100%; height: auto; } .wide { overflow: visible; }
  svg, figure, tr, ul.tiles { break-inside: avoid; } h2, h3 { break-after: avoid; }
  rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
""".strip()
