/** Colours and drawings, as a page and a picture by itself have them. Colours keep 4.5:1 against their background in both schemes. */
export const drawingStyle = `
:root {
  color-scheme: light dark;
  --background: #fbfbf9; --surface: #ffffff; --text: #1c1f23; --muted: #555d66; --rule: #d9dcd6; --shade: #00000033;
  --series-1: #b4500b; --series-2: #1759b5; --series-3: #0b7261; --series-4: #8b2fa0; --series-5: #a3123f; --node: #6a727b;
  --held: #196c33; --failed: #b3201f; --unknown: #7c5800;
  --outer: #b4500b; --inner: #4d6480; --payload: #e3e7ea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --background: #14171a; --surface: #1c2024; --text: #e8eaec; --muted: #a7afb8; --rule: #363c43; --shade: #000000aa;
    --series-1: #f5a05a; --series-2: #7db4ff; --series-3: #57cfb4; --series-4: #d99cec; --series-5: #ff8fab; --node: #9aa3ad;
    --held: #6fd08c; --failed: #ff8a80; --unknown: #e6b94d;
    --outer: #f5a05a; --inner: #93abc9; --payload: #2d343b;
  }
}
.mono { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
.path .mono { font-size: 10px; }
.path .name, .packet .name { font-weight: 600; }
.centre, .on { text-anchor: middle; }
.on { fill: var(--surface); font-size: 10.5px; font-weight: 600; }
.outer { fill: var(--outer); }
.inner { fill: var(--inner); }
.payload { fill: var(--payload); }
.box rect { fill: none; stroke: var(--muted); stroke-width: 1.25; }
svg .box { color: var(--text); }
.box.held rect { stroke: var(--held); stroke-width: 1.75; }
.box.failed rect { stroke: var(--failed); stroke-width: 2.5; }
.box.failed text { fill: var(--failed); }
.box.unknown rect { stroke: var(--unknown); stroke-dasharray: 2 2; }
.box.absent rect { stroke-dasharray: 4 3; opacity: .6; }
.box.absent text { fill: var(--muted); }
.flow { stroke: var(--muted); stroke-width: 1.25; }
.wire { fill: none; stroke: var(--text); stroke-width: 2.5; }
.unproven { stroke: var(--failed); stroke-dasharray: 5 4; }
.tunnel { stroke: var(--outer); stroke-width: 9; stroke-linejoin: round; }
`;

/** The page's style sheet. No colour carries meaning alone. */
export const style = `${drawingStyle}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.25rem clamp(1rem, 4vw, 2.5rem) 3rem; max-width: 68rem;
  background: var(--background); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: .5rem 0; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .75rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, li, dd { overflow-wrap: anywhere; max-width: 46rem; }
.lead, .note, footer { color: var(--muted); }
.note, footer, .legend { font-size: .9rem; }
footer { border-top: 1px solid var(--rule); margin-top: 2.75rem; }
.headline { font-size: 1.2rem; font-weight: 600; line-height: 1.4; }
ul { padding-left: 1.2rem; }
.verdicts { list-style: none; padding: 0; }
.verdicts li { display: flex; flex-wrap: wrap; gap: .25rem .7rem; align-items: baseline; margin: .45rem 0; }
.verdict { text-transform: uppercase; font-size: .82rem; letter-spacing: .04em; padding: .1rem .55rem; border-radius: 1rem; border: 1.5px solid; }
.confirmed, .held { color: var(--held); }
.contradicted, .failed { color: var(--failed); }
.incomplete, .unknown { color: var(--unknown); }
td .failed, td .unknown { font-weight: 600; }
.why { display: block; color: var(--muted); font-size: .9em; max-width: 22rem; }
th[colspan] { font-weight: 600; color: var(--text); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1.25rem; }
.of-three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1rem; }
.grid + .grid { margin-top: 1.25rem; }
figure { margin: 0; padding: .9rem; background: var(--surface); border: 1px solid var(--rule); border-radius: .5rem; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .5rem; }
figure svg { display: block; width: 100%; max-width: 30rem; height: auto; margin: 0 auto; }
figure svg + svg { margin-top: 1.5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; color: var(--muted); }
.legend svg { width: 16px; height: 12px; fill: currentColor; stroke: currentColor; }
.legend circle { stroke: none; }
.legend .baseline { stroke-width: 2; stroke-dasharray: 4 3; }
/* A shadow at the edge behind which a table goes on. */
.scroll {
  overflow-x: auto; margin: 1rem 0;
  background:
    linear-gradient(to left, var(--background) 30%, transparent) right / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / .8rem 100% no-repeat scroll;
}
.scroll:focus-visible, summary:focus-visible, pre:focus-visible { outline: 2px solid var(--series-2); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .2rem 0 .4rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--rule); }
th:last-child, td:last-child { padding-right: .2rem; }
thead th { color: var(--muted); font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 400; position: sticky; left: 0; background: var(--background); min-width: 7.75rem; }
.number { text-align: right; white-space: nowrap; }
details { margin: .75rem 0; }
summary { cursor: pointer; padding: .3rem 0; }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: minmax(6rem, 10rem) 1fr; gap: 0 1rem; padding: .35rem 0; border-bottom: 1px solid var(--rule); }
dt { color: var(--muted); }
dd { margin: 0; grid-column: 2; }
pre { background: var(--surface); border: 1px solid var(--rule); border-radius: .5rem; padding: .8rem; overflow-x: auto; font-size: .9rem; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
@media (max-width: 40rem) { table { font-size: .85rem; } th, td { padding-right: .7rem; } dl div { grid-template-columns: 1fr; gap: 0; } dd { grid-column: 1; } }
@media print { body { max-width: none; } figure { break-inside: avoid; } }
`;
