/** Tiles, tables and lists of the page. */

import { byId, count, fixed, make, moment, none, percent, seconds, section, table, usd } from "/web/ops-dom.js";
import { term } from "/web/ops-strings.js";
import { say } from "/web/strings.js";

export function drawTiles(found) {
  const rated = found.thumbs_up + found.thumbs_down;
  const tiles = [
    ["tileRequests", count(found.requests), say("tileResolved", { count: count(found.resolved) })],
    ["tileTime", seconds(found.p50_ms), say("tileWithin", { time: seconds(found.p95_ms) })],
    ["tileCost", usd(found.cost_usd), say("tileMonth", { cost: usd(found.costs.projection_month_usd) })],
    ["tileUnsure", percent(found.dont_know_rate), say("tileUnsureOf", { count: count(found.outcomes.dont_know ?? 0) })],
    ["tileGuarded", percent(found.guard_rate), say("tileRefused", { count: count(found.outcomes.refuse ?? 0) })],
    ["tileFailed", percent(found.error_rate), say("tileFailedOf", { failed: count(found.failed_calls), calls: count(found.calls) })],
    ["tileThumbs", rated ? percent(found.thumbs_up / rated) : "–", say("tileThumbsOf", { up: count(found.thumbs_up), down: count(found.thumbs_down) })],
    ["tileCache", percent(found.cache_hit_rate), say("tileTokens", { count: count(found.input_tokens + found.output_tokens) })],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, beside]) => make("div", {}, make("dt", {}, say(name)), make("dd", {}, make("strong", {}, value), make("small", {}, beside)))));
}

export function drawHealth(parts) {
  byId("health").replaceChildren(...parts.map((part) => make("li", { class: part.state },
    make("b", {}, part.name), " ", make("span", { class: "state" }, term("health", part.state)), part.detail ? make("small", { lang: "en" }, part.detail) : null)));
}

export function drawPanels(place, found, open, group, review) {
  place.replaceChildren(
    section("panelGaps", unanswered(found.unanswered, open), found.unanswered.length ? make("button", { type: "button", id: "group", onclick: group }, say("group")) : null),
    section("panelFeedback", feedback([...found.rated_down, ...found.rated_up], open)),
    section("panelReview", none(say("reviewWhat")), make("button", { type: "button", id: "review", onclick: review }, say("reviewShow"))),
    section("panelModels", models(found)),
    section("panelBudgets", budgets(found.budgets)),
    section("panelInUse", versions(found.in_use)),
    section("panelJudge", judge(found.judge)),
  );
}

function unanswered(rows, open) {
  if (!rows.length) return none(say("none"));
  return table([[say("colAsked"), (row) => count(row.count), "number"], [say("colQuestion"), (row) => opener(row.question, row.turn_id, open), "words"], [say("colLast"), (row) => moment(row.last)]], rows, say("panelGaps"));
}

export function drawGaps(place, { gaps }, open) {
  const rows = gaps.slice(0, 20);
  const columns = [[say("colAsked"), (row) => count(row.count), "number"], [say("colExample"), (row) => opener(row.example, row.receipts[0], open), "words"], [say("colNearest"), (row) => row.nearest_title || row.nearest || "–"], [say("colConfidence"), (row) => fixed(row.confidence, 2), "number"]];
  place.replaceWith(table(columns, rows, say("gapsGrouped")));
}

export function drawReview(place, { groups, waiting, more }, open) {
  if (!waiting) return place.replaceWith(none(say("reviewNobody")));
  const why = (row) => Object.entries(row.causes).map(([cause, times]) => `${count(times)} ${term("cause", cause)}`).join(", ");
  const columns = [[say("colTurns"), (row) => count(row.count), "number"], [say("colExample"), (row) => opener(row.example, row.turns[0].turn_id, open), "words"], [say("colWhy"), why, "words"], [say("colLast"), (row) => moment(row.turns[0].at)]];
  const rest = groups.length > 20 ? ` ${say("reviewRest", { count: count(groups.length - 20) })}` : "";
  return place.replaceWith(make("div", {}, table(columns, groups.slice(0, 20), say("reviewGrouped")), none(`${say(more ? "reviewNewest" : "reviewWaiting", { count: count(waiting) })}${rest}`)));
}

function feedback(rows, open) {
  if (!rows.length) return none(say("noFeedback"));
  return table([[say("colThumb"), (row) => term("thumb", row.rating)], [say("colQuestion"), (row) => opener(row.question, row.turn_id, open), "words"], [say("colComment"), (row) => row.comment || "–", "words"], [say("colAskedAt"), (row) => moment(row.at)]], rows, say("ratings"));
}

function models({ models: rows, costs }) {
  if (!rows.length) return none(say("noModels"));
  const found = table([[say("colModel"), (row) => row.name], [say("colTurns"), (row) => count(row.requests), "number"], [say("colCalls"), (row) => count(row.calls), "number"], [say("colFailed"), (row) => count(row.failed_calls), "number"], [say("colTokensIn"), (row) => count(row.input_tokens), "number"], [say("colTokensOut"), (row) => count(row.output_tokens), "number"], [say("colCost"), (row) => usd(row.cost_microusd / 1e6), "number"]], rows, say("chartCost"));
  return make("div", {}, found, none(say("costEach", { request: usd(costs.cost_per_request_usd), resolved: usd(costs.cost_per_resolved_usd), method: costs.projection_method })));
}

function budgets(rows) {
  if (!rows.length) return none(say("noBudgets"));
  const used = (row) => { const meter = make("meter", { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, value: Math.min(1, row.share) }, percent(row.share)); return make("span", { class: "used" }, meter, " ", row.closed ? say("closed") : percent(row.share)); };
  return table([[say("colOf"), (row) => [term("scope", row.scope), row.name].filter(Boolean).join(" ")], [say("colPeriod"), (row) => `${term("period", row.period)}, ${term("limit", row.kind)}`], [say("colSpent"), (row) => usd(row.settled_usd), "number"], [say("colLimit"), (row) => usd(row.limit_usd), "number"], [say("colUsed"), used]], rows, say("panelBudgets"));
}

function versions(rows) {
  if (!rows.length) return none(say("noTurns"));
  return table([[say("colWhat"), (row) => term("used", row.kind)], [say("colVersion"), (row) => row.name], [say("colTurns"), (row) => count(row.turns), "number"], [say("colLast"), (row) => moment(row.last_at)]], rows, say("inUseOf"));
}

function judge(rows) {
  if (!rows.length) return none(say("notJudgedYet"));
  return table([[say("colDimension"), (row) => term("dimension", row.dimension)], [say("colMean"), (row) => percent(row.mean), "number"], [say("colScored"), (row) => count(row.scored), "number"], [say("colUnscored"), (row) => count(row.unscored), "number"]], rows, say("judgeScores"));
}

export function drawTurns(place, rows, open) {
  if (!rows.length) return place.replaceChildren(none(say("none")));
  const ended = (row) => [term("outcome", row.outcome), term("reason", row.reason)].filter(Boolean).join(": ");
  const columns = [[say("colAskedAt"), (row) => moment(row.at)], [say("colQuestion"), (row) => opener(row.question, row.turn_id, open), "words"], [say("colOutcome"), ended], [say("colBy"), (row) => row.model || term("mode", row.mode)], [say("colTime"), (row) => seconds(row.latency_ms), "number"], [say("colCost"), (row) => usd(row.cost_usd), "number"]];
  return place.replaceChildren(table(columns, rows, say("opsTurns")));
}

function opener(words, turn, open) {
  return make("button", { type: "button", class: "link", onclick: () => open(turn) }, words || say("noText"));
}
