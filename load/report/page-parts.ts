/** What the report's page is dressed in. */
export const style = `
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6676; --line: #dfe3ea; --ground: #f6f7f9; --card: #fff; --bad: #b3261e; --good: #1d7044; --one: #2f5fd0; --two: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf1; --soft: #9aa4b5; --line: #2c3442; --ground: #12161d; --card: #1a202a; --bad: #ff8a80; --good: #6fd09a; --one: #86a8ff; --two: #f0a06a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header, main { max-width: 1180px; margin: 0 auto; padding: 24px; }
header { padding-bottom: 0; }
h1 { margin: 0; font-size: 28px; }
h2 { margin: 0 0 8px; font-size: 15px; }
header p { margin: 4px 0; color: var(--soft); }
header .good { color: var(--good); } .bad, header .bad { color: var(--bad); }
.figures, #charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 16px; margin-bottom: 16px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; min-width: 0; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: normal; color: var(--soft); padding: 2px 16px 2px 0; vertical-align: top; }
td { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.bad th { color: inherit; }
.u-legend { font-size: 13px; text-align: left; }
`;

/** The page's own script: draws the charts that lie in it as data. */
export const drawCharts = `
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const place = document.getElementById('charts');
for (const chart of JSON.parse(document.getElementById('data').textContent)) {
  const section = document.createElement('section');
  const heading = document.createElement('h2');
  heading.textContent = chart.title + (chart.unit ? ' (' + chart.unit + ')' : '');
  section.append(heading);
  place.append(section);
  const width = () => section.clientWidth - 32;
  const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
  const plot = new uPlot({
    width: width(),
    height: 220,
    scales: { x: { time: false }, y: chart.logarithmic ? { distr: 3 } : { range: (_, least, most) => [Math.min(0, least || 0), (most || 1) * 1.05] } },
    axes: [{ ...axis, label: chart.horizontal, labelSize: 20 }, { ...axis, size: 64 }],
    series: [
      { label: chart.horizontal },
      ...chart.series.map((label, at) => {
        const stroke = colour(at === 0 ? '--one' : '--two');
        return { label, stroke, width: 2, spanGaps: true, points: { size: 4 }, ...(chart.filled ? { fill: stroke + '22' } : {}) };
      }),
    ],
  }, chart.data, section);
  addEventListener('resize', () => plot.setSize({ width: width(), height: 220 }));
}
`;
