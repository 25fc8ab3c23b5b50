/** Charts of the ledger along time, each with the same figures as a table. Drawn by uPlot. */

import { count, make, percent, seconds, section, table, usd, utc } from "/web/ops-dom.js";
import { term } from "/web/ops-strings.js";
import { say } from "/web/strings.js";

const HEIGHT = 220;
const SECONDS = { hour: 3_600, day: 86_400 };
const OUTCOMES = ["answer", "dont_know", "handoff", "refuse"];
const MOST_MODELS = 5;
const drawn = [];

export function drawCharts(place, found) {
  drawn.splice(0).forEach((end) => end());
  place.replaceChildren();
  if (!found.requests) return;
  const buckets = filled(found);
  const show = (name, lines, options) => place.append(chart(name, found.unit, buckets, lines, options));
  show("chartRequests", OUTCOMES.map((name) => [term("outcome", name), (b) => b.outcomes[name] ?? 0]), { stacked: true, format: count });
  show("chartTime", [[say("lineP50"), (b) => b.p50_ms], [say("lineP95"), (b) => b.p95_ms]], { format: seconds });
  const models = modelsOf(buckets);
  const cost = models.map((name) => [name === OTHERS ? say("lineOthers") : name, (b) => costOf(b, name, models)]);
  if (cost.length) show("chartCost", cost, { stacked: true, format: usd });
  show("chartRates", [[say("lineUnsure"), (b) => share(b.unsure, b)], [say("lineGuarded"), (b) => share(b.guarded, b)]], { format: percent });
}

const share = (part, bucket) => (bucket.requests ? part / bucket.requests : null);
const OTHERS = Symbol("the models that cost least");

function modelsOf(buckets) {
  const sums = {};
  for (const bucket of buckets) for (const [name, cost] of Object.entries(bucket.cost_usd)) sums[name] = (sums[name] ?? 0) + cost;
  const paid = Object.keys(sums).filter((name) => sums[name] > 0).sort((a, b) => sums[b] - sums[a]);
  return paid.length > MOST_MODELS ? [...paid.slice(0, MOST_MODELS - 1), OTHERS] : paid;
}

function costOf(bucket, name, models) {
  if (name !== OTHERS) return bucket.cost_usd[name] ?? 0;
  return Object.entries(bucket.cost_usd).filter(([one]) => !models.includes(one)).reduce((sum, [, cost]) => sum + cost, 0);
}

/** Every hour or day of the span: those in which nothing happened too. */
function filled({ series, unit, since, until }) {
  const step = SECONDS[unit], known = Object.fromEntries(series.map((bucket) => [start(bucket.at), bucket]));
  const first = Math.floor(Date.parse(since) / 1000 / step) * step, last = Date.parse(until) / 1000;
  const found = [];
  for (let at = first; at <= last; at += step) {
    const nothing = { requests: 0, outcomes: {}, guarded: 0, unsure: 0, p50_ms: null, p95_ms: null, cost_usd: {} };
    found.push({ ...(known[at] ?? nothing), seconds: at });
  }
  return found;
}

const start = (at) => Date.parse(at.includes("T") ? `${at}:00:00Z` : `${at}T00:00:00Z`) / 1000;

function chart(name, unit, buckets, lines, options) {
  const canvas = make("div", { class: "chart", "aria-hidden": "true" });
  const when = (bucket) => label(bucket.seconds, unit);
  const columns = [[say(unit === "hour" ? "chartHour" : "chartDay"), when]];
  for (const [line, value] of lines) columns.push([line, (bucket) => options.format(value(bucket)), "number"]);
  const told = buckets.filter((bucket) => lines.some(([, value]) => value(bucket)));
  const figures = make("details", {}, make("summary", {}, say("chartFigures")), table(columns, told, say(name)));
  const whole = section(name, canvas, figures);
  requestAnimationFrame(() => plot(canvas, unit, buckets, lines, options));
  return whole;
}

function label(at, unit) {
  const written = utc(at * 1000, { day: "numeric", month: "short", ...(unit === "hour" ? { hour: "2-digit", minute: "2-digit" } : {}) });
  return written.replace(",", "");
}

function plot(canvas, unit, buckets, lines, { stacked = false, format }) {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), font: "12px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const raw = lines.map(([, value]) => buckets.map(value));
  // Stacked bars are drawn from the whole down to the first part, each over the one before.
  const sums = raw.map((_, line) => buckets.map((_, place) => raw.slice(0, line + 1).reduce((sum, one) => sum + one[place], 0)));
  const order = lines.map((_, line) => line);
  if (stacked) order.reverse();
  const bars = uPlot.paths.bars({ size: [0.75, 40] });
  const series = order.map((line) => ({
    label: lines[line][0],
    stroke: colour(`--series-${line + 1}`),
    fill: stacked ? colour(`--series-${line + 1}`) : undefined,
    width: stacked ? 0 : 2,
    dash: stacked || line === 0 ? undefined : [6, 4],
    paths: stacked ? bars : undefined,
    points: { show: !stacked, size: 5, fill: colour(`--series-${line + 1}`) },
    spanGaps: false,
    value: (_, __, ___, place) => (place === null ? "–" : format(raw[line][place])),
  }));
  const width = () => Math.max(200, canvas.clientWidth);
  const half = SECONDS[unit] / 2;
  const options = {
    width: width(),
    height: HEIGHT,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { drag: { setScale: false }, y: false },
    legend: { live: true },
    scales: { x: { range: (_, low, high) => [low - half, high + half] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((at) => tick(at, unit)), incrs: unit === "hour" ? [3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400] : [86_400, 172_800, 432_000, 604_800], space: 60 },
      { ...axis, size: 62, values: (_, ticks) => ticks.map((value) => format(value)) },
    ],
    series: [{ label: say(unit === "hour" ? "chartHour" : "chartDay"), value: (_, at) => (at === null ? "–" : label(at, unit)) }, ...series],
  };
  const made = new uPlot(options, [buckets.map((bucket) => bucket.seconds), ...order.map((line) => (stacked ? sums : raw)[line])], canvas);
  const watch = new ResizeObserver(() => made.setSize({ width: width(), height: HEIGHT }));
  watch.observe(canvas);
  drawn.push(() => { watch.disconnect(); made.destroy(); });
}

function tick(at, unit) {
  const date = new Date(at * 1000);
  const day = utc(date, { day: "numeric", month: "short" });
  if (unit === "day") return day;
  return date.getUTCHours() === 0 ? day : `${String(date.getUTCHours()).padStart(2, "0")}:00`;
}
