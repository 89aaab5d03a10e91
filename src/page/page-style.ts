/** The page's style: much room, two typefaces that every machine has, one colour beside greys, and red for what failed. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --card: #ffffff; --ink: #1b1d1f; --soft: #5b6167; --line: #e3e4e0; --track: #efefeb;
  --accent: #0a6c74; --tint: #dcefef; --muted: #aeb6b8; --red: #b3261e; --rose: #fbe9e7;
  --mono: ui-monospace, 'SF Mono', 'Cascadia Mono', 'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131517; --card: #1a1d20; --ink: #e8eaea; --soft: #9ba3a8; --line: #2b3035; --track: #23272b;
    --accent: #5cc8cd; --tint: #173638; --muted: #5a656a; --red: #ff8a80; --rose: #3a1f1d;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 4.5rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif; -webkit-text-size-adjust: 100%; }
.top, main, footer, nav ul { max-width: 1120px; margin: 0 auto; padding: 0 2rem; }
h1, h2, h3, h4 { line-height: 1.2; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h1 { font-size: clamp(2rem, 5vw, 3.1rem); font-weight: 650; letter-spacing: -.03em; }
h2 { font-size: 1.5rem; font-weight: 650; letter-spacing: -.02em; margin-bottom: 1.25rem; }
h3 { font-size: .95rem; font-weight: 600; margin: 1.9rem 0 .6rem; }
h3 small, h4 small { font-weight: 400; color: var(--soft); margin-left: .4em; }
h4 { font-size: .82rem; font-weight: 600; color: var(--soft); margin: 1.2rem 0 .45rem; }
p { margin: .4rem 0; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .18em; }
code, pre { font-family: var(--mono); font-size: .86em; font-variant-ligatures: none; }
.digest { overflow-wrap: anywhere; color: var(--soft); }
small { font-size: .85em; color: var(--soft); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -100vw; } .skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; z-index: 3; }
.top { padding-top: 4.5rem; padding-bottom: 2.5rem; }
.state { display: inline-flex; gap: .5em; align-items: center; margin: 0 0 .7rem; font-weight: 600; font-size: .95rem; color: var(--accent); }
.state::before { content: ''; width: .62em; height: .62em; border-radius: 50%; background: currentColor; }
.state.failed, .state.interrupted { color: var(--red); } .state.canceled { color: var(--soft); }
.state b { font-weight: 600; }
.when { color: var(--soft); font-size: 1.05rem; margin-top: .7rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: 2rem 2.5rem; margin: 2.8rem 0 0; }
.tiles dt { color: var(--soft); font-size: .88rem; }
.tiles dd { margin: .1rem 0 0; font-size: 1.95rem; font-weight: 600; letter-spacing: -.03em; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles small { display: block; font-size: .84rem; font-weight: 400; letter-spacing: 0; margin-top: .25rem; line-height: 1.4; }
.error { margin-top: 2.8rem; padding: 1.3rem 1.6rem; background: var(--rose); border-radius: 12px; }
.error .message { font-weight: 600; color: var(--red); overflow-wrap: anywhere; }
nav { position: sticky; top: 0; z-index: 2; background: var(--paper); border-block: 1px solid var(--line); }
nav ul { display: flex; gap: 1.8rem; list-style: none; overflow-x: auto; scrollbar-width: none; }
nav a { display: block; padding: .85rem 0; color: var(--soft); text-decoration: none; font-size: .92rem; } nav a:hover { color: var(--ink); }
main > section { padding: 3.6rem 0 0; }
.lead { max-width: 62ch; color: var(--soft); margin-bottom: 1.2rem; } .lead b { color: var(--ink); }
.note { color: var(--soft); }
.path { list-style: none; margin: 0 0 2.2rem; padding: 0; border-top: 1px solid var(--line); }
.path li { display: flex; gap: 1.5rem; justify-content: space-between; padding: .55rem 0; border-bottom: 1px solid var(--line); }
.path a { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-decoration: none; color: var(--ink); } .path a:hover { color: var(--accent); }
.share { color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; font-size: .92rem; }
.timeline ol { list-style: none; margin: 0; padding: 0; }
.bar, .axis { display: grid; grid-template-columns: minmax(0, 19rem) minmax(0, 1fr) 4.5rem; gap: 1.2rem; align-items: center; }
.bar { min-height: 2rem; }
.bar .label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: inherit; text-decoration: none; font-size: .92rem; } a.label:hover { color: var(--accent); }
.time { text-align: right; color: var(--soft); font-size: .86rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.track { display: block; width: 100%; height: 12px; background: var(--track); border-radius: 4px; overflow: hidden; }
.track rect { fill: var(--muted); }
.bar.critical .track rect, .layer .track rect { fill: var(--accent); }
.bar.critical .label code { font-weight: 600; }
.bar.cached .track { background: none; box-shadow: inset 0 0 0 1px var(--line); }
.bar.failed .track rect, .layer .track rect.waste { fill: var(--red); }
.bar.transfer .track rect { fill: var(--soft); }
.axis .ticks { display: flex; justify-content: space-between; font-size: .78rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1.5rem; margin-top: 1.6rem; color: var(--soft); font-size: .86rem; }
.key { display: inline-block; width: 1.1rem; height: .62rem; border-radius: 3px; background: var(--muted); margin-right: .5rem; }
.key.waste { background: var(--red); } .key.critical { background: var(--accent); } .key.cached { background: none; box-shadow: inset 0 0 0 1px var(--muted); }
.left { margin-left: auto; }
.graph { overflow-x: auto; padding: .4rem 0 1rem; }
.graph svg { display: block; font: 500 14px system-ui, sans-serif; }
.node rect { fill: var(--card); stroke: var(--line); stroke-width: 1.2; }
.node.image rect, .node.context rect { fill: none; stroke-dasharray: 4 4; stroke: var(--muted); }
.node.critical rect { fill: var(--tint); stroke: var(--accent); }
.node.failed rect { fill: var(--rose); stroke: var(--red); }
a.node:hover rect { stroke-width: 2.2; } a.node:focus-visible { outline: none; } a.node:focus-visible rect { stroke-width: 3; stroke: var(--accent); }
.node text { fill: var(--ink); } .node .note { fill: var(--soft); font-size: 12px; font-weight: 400; }
.edge { fill: none; stroke: var(--muted); stroke-width: 1.4; } .edge.critical { stroke: var(--accent); stroke-width: 2; }
.tools { display: flex; flex-wrap: wrap; gap: .8rem 1.2rem; align-items: center; }
.search { flex: 1 1 16rem; } .search span { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
input { width: 100%; font: inherit; font-size: .95rem; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .8rem; }
input::placeholder { color: var(--soft); opacity: 1; }
.choices { display: flex; }
button { font: inherit; font-size: .88rem; color: var(--soft); background: none; border: 1px solid var(--line); border-radius: 8px; padding: .45rem .9rem; cursor: pointer; }
.choices button { border-radius: 0; margin-left: -1px; } .choices button:first-child { border-radius: 8px 0 0 8px; } .choices button:last-child { border-radius: 0 8px 8px 0; }
button:hover { color: var(--ink); } button[aria-pressed=true] { color: var(--accent); border-color: var(--accent); background: var(--tint); position: relative; }
.found { min-height: 1.4em; color: var(--soft); font-size: .88rem; }
details { border-bottom: 1px solid var(--line); }
.stage details:first-of-type, .layers > li:first-child details { border-top: 1px solid var(--line); }
summary { display: grid; grid-template-columns: .55rem 1.3rem minmax(0, 1fr) auto 4.5rem; gap: 1rem; align-items: center; padding: .62rem 0; cursor: pointer; list-style: none; }
[open] > summary { align-items: start; }
.chevron { width: .42rem; height: .42rem; border: solid var(--muted); border-width: 0 1.6px 1.6px 0; transform: rotate(-45deg); justify-self: center; }
[open] > summary > .chevron { transform: rotate(45deg); margin-top: .45rem; } summary:hover .chevron { border-color: var(--accent); }
summary::-webkit-details-marker { display: none; }
summary:hover .instruction { color: var(--accent); }
.number { color: var(--soft); font-size: .86rem; font-variant-numeric: tabular-nums; }
.instruction { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
details[open] > summary .instruction { white-space: normal; overflow-wrap: anywhere; }
.step.plain > summary .instruction, .step.skipped > summary .instruction { color: var(--soft); }
.chip { font-size: .78rem; padding: .1rem .6rem; border-radius: 99px; border: 1px solid var(--line); color: var(--soft); white-space: nowrap; }
.chip.made { background: var(--tint); border-color: transparent; color: var(--accent); font-weight: 600; }
.chip.failed, .chip.unfinished { background: var(--rose); border-color: transparent; color: var(--red); font-weight: 600; }
.chip.plain, .chip.skipped { border-color: transparent; }
.inside { padding: .2rem 0 1.6rem 3.85rem; }
.why ul { margin: 0; padding-left: 1.1rem; overflow-wrap: anywhere; }
.why li::marker { color: var(--accent); }
pre { margin: 0; padding: .95rem 1.1rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: auto; line-height: 1.55; max-height: 30rem; tab-size: 4; }
.source .line::before { content: attr(data-line); display: inline-block; width: 2.6em; margin-right: 1.2em; text-align: right; color: var(--soft); opacity: .8; user-select: none; }
.facts { display: grid; gap: .45rem; margin: 1.1rem 0 0; font-size: .92rem; }
.facts > div { display: grid; grid-template-columns: 10rem minmax(0, 1fr); gap: 1rem; } .facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.inputs, .warnings, .outputs { margin: 0; padding: 0; list-style: none; } .inputs li { display: inline; } .inputs li + li::before { content: ' · '; color: var(--soft); }
.warnings li, .outputs li { padding: .45rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.layers { list-style: none; margin: 0; padding: 0; }
.layer summary { grid-template-columns: .55rem 1.3rem minmax(0, 1fr) minmax(0, 16rem) 4.5rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; margin-top: 1rem; } caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
.wide { overflow-x: auto; margin-top: 2rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .85rem; } th, td { padding: .38rem 1rem .38rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td code { overflow-wrap: anywhere; } .wasted td:first-child code { word-break: break-all; } .size { text-align: right; padding-right: 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
footer { padding-top: 5rem; padding-bottom: 4rem; color: var(--soft); font-size: .86rem; }
[hidden] { display: none; }
.c-bold { font-weight: 700; } .c-black { color: var(--soft); } .c-red { color: var(--red); } .c-green { color: #2e7d32; } .c-yellow { color: #8a6100; } .c-blue { color: #1f5fbf; } .c-magenta { color: #9a2f8f; } .c-cyan { color: var(--accent); } .c-white { color: var(--ink); }
@media (prefers-color-scheme: dark) { .c-green { color: #86d08a; } .c-yellow { color: #e2bd62; } .c-blue { color: #8ab6ff; } .c-magenta { color: #e59ad9; } }
@media (max-width: 720px) {
  .top, main, footer, nav ul { padding-left: 1.2rem; padding-right: 1.2rem; }
  .top { padding-top: 2.6rem; } .tiles { grid-template-columns: 1fr 1fr; gap: 1.6rem 1.2rem; } .tiles dd { font-size: 1.6rem; }
  .bar { grid-template-columns: minmax(0, 1fr) auto; gap: .15rem 1rem; padding: .45rem 0; } .bar .track { grid-column: 1 / -1; grid-row: 2; }
  .axis { grid-template-columns: 1fr; } .axis > span:empty { display: none; } .left { margin-left: 0; flex-basis: 100%; }
  summary { grid-template-columns: .5rem 1.1rem minmax(0, 1fr) auto; gap: .6rem; } .step summary .time { display: none; }
  .layer summary { grid-template-columns: .5rem 1.1rem minmax(0, 1fr) auto; } .layer summary .track { grid-column: 3 / -1; grid-row: 2; }
  .inside { padding-left: 0; } .facts > div { grid-template-columns: 1fr; gap: 0; margin-bottom: .4rem; } .choices { flex-wrap: wrap; }
}
@media print { nav, .tools { display: none; } details { break-inside: avoid; } }
`;
