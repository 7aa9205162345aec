import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { escaped } from '../../server/docs/html.ts';
import { type LoadReport, passes } from '../run.ts';
import { charts } from './charts.ts';
import { figuresOf } from './figures.ts';
import { drawCharts, style } from './page-parts.ts';

/** The report as one file that needs nothing else: the chart library and the figures are in it. */
export async function pageOf(report: LoadReport): Promise<string> {
  const find = createRequire(import.meta.url);
  const uPlotScript = await readFile(find.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const uPlotStyle = await readFile(find.resolve('uplot/dist/uPlot.min.css'), 'utf8');
  const good = passes(report);
  const sections = figuresOf(report).map(
    ({ title, figures }) =>
      `<section><h2>${escaped(title)}</h2><table>${figures
        .map(
          ({ label, value, bad }) =>
            `<tr${bad ? ' class="bad"' : ''}><th scope="row">${escaped(label)}</th><td>${escaped(value)}</td></tr>`,
        )
        .join('')}</table></section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidings load test, ${escaped(report.began)}</title>
<style>${uPlotStyle}${style}</style>
</head>
<body>
<header>
<h1>${report.connected.toLocaleString('en-US')} live connections</h1>
<p>${escaped(report.url)}, ${escaped(report.began)}, ${report.seconds} s of writing</p>
<p class="${good ? 'good' : 'bad'}" role="status">${
    good
      ? 'Every client was handed every event once, in order, and holds the tallies of the database.'
      : 'The check found faults: the lines in red.'
  }</p>
</header>
<main><div class="figures">${sections.join('')}</div><div id="charts"></div></main>
<script>${uPlotScript}</script>
<script type="application/json" id="data">${JSON.stringify(charts(report)).replaceAll('<', '\\u003c')}</script>
<script>${drawCharts}</script>
</body>
</html>
`;
}
