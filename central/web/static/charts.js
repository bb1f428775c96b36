// Charts of a report, drawn from the tables beside them: without this script the tables stand alone.

const HALF_DAY_S = 43200;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

async function drawAll() {
  let uPlot;
  try {
    ({ default: uPlot } = await import("/static/vendor/uPlot.esm.js"));
  } catch {
    for (const details of document.querySelectorAll("[data-chart] details")) details.open = true;
    return;
  }
  for (const panel of document.querySelectorAll("[data-chart]")) draw(uPlot, panel);
  document.documentElement.dataset.charts = "drawn";
}

function draw(uPlot, panel) {
  const rows = [...panel.querySelectorAll("tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent));
  const place = panel.querySelector(".chart");
  if (!rows.length) return;
  place.hidden = false;
  const days = rows.map(([day]) => Date.parse(`${day}T00:00:00Z`) / 1000);
  const values = rows.map(([, value]) => Number(value));
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  new uPlot(
    {
      width: place.clientWidth,
      height: 170,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: (plot, min, max) => [min - HALF_DAY_S, max + HALF_DAY_S] }, y: { range: (plot, min, max) => [0, Math.max(1, max) * 1.08] } },
      axes: [{ ...axis, values: (plot, splits) => splits.map((s) => new Date(s * 1000).toISOString().slice(5, 10)) }, { ...axis, values: (plot, splits) => splits.map((v) => (Number.isInteger(v) ? String(v) : "")) }],
      series: [{}, { label: panel.dataset.label, stroke: colour("--link"), width: 2, fill: `${colour("--link")}22`, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7, 24] }) }],
    },
    [days, values],
    place,
  );
}

drawAll();
