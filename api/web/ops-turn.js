/** One turn from its receipt: what was said, a waterfall of its steps and calls, verdicts, passages, scores. */

import { make, moment, none, percent, seconds, table, usd } from "/web/ops-dom.js";

const CALLERS = { rewrite: "route", answerable: "generate", answer: "generate", judge: "judge" };

export function drawTurn(place, receipt) {
  const why = [receipt.outcome, receipt.reason].filter(Boolean).join(": ");
  const facts = [
    ["Asked", `${moment(receipt.at)} UTC`],
    ["Outcome", why],
    ["Answered by", [receipt.mode, receipt.model].filter(Boolean).join(", ")],
    ["Took", seconds(receipt.latency_ms)],
    ["Cost", `${usd(receipt.cost_usd)}, ${receipt.tokens} tokens`],
    ["Confidence", receipt.passages.length ? receipt.confidence.toFixed(2) : "–"],
    ["Prompt", receipt.prompt || "–"],
    ["Release", receipt.release],
    ["Knowledge", receipt.knowledge],
    ["Trace", receipt.trace_id],
  ];
  place.replaceChildren(
    make("h3", {}, "Question"), make("p", { class: "said" }, receipt.question || "–"),
    make("h3", {}, "Answer"), make("p", { class: "said" }, receipt.answer || "–"),
    ...(receipt.error ? [make("p", { class: "bad" }, `Error: ${receipt.error}`)] : []),
    make("h3", {}, "Steps"), waterfall(receipt),
    make("h3", {}, "Facts"), make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    make("h3", {}, "Guards"), verdicts(receipt),
    make("h3", {}, "Passages"), passages(receipt),
    make("h3", {}, "Scores"), scores(receipt),
    make("details", {}, make("summary", {}, "The whole receipt"), make("pre", {}, JSON.stringify(receipt, null, 2))),
  );
}

/** Steps in their order, each call below the step that made it. Older receipts have no offsets: then they follow each other. */
export function bars(receipt) {
  const rows = [];
  const waiting = [...receipt.calls];
  const began = Date.parse(receipt.at);
  let last = 0;
  for (const step of receipt.steps) {
    const from = step.offset_ms ?? last;
    rows.push({ name: step.name, kind: "step", from, ms: step.ms, note: "" });
    let next = from;
    for (const call of waiting.filter((one) => (one.step || CALLERS[one.purpose]) === step.name)) {
      waiting.splice(waiting.indexOf(call), 1);
      const start = call.began ? Math.max(0, call.began * 1000 - began) : next;
      rows.push(calling(call, start));
      next = start + call.ms;
    }
    last = Math.max(last, from + step.ms);
  }
  return [...rows, ...waiting.map((call) => calling(call, last))];
}

function calling(call, from) {
  const spent = `${call.input_tokens} + ${call.output_tokens} tokens, ${usd(call.cost_microusd / 1e6)}`;
  return { name: `${call.purpose}: ${call.model}`, kind: call.ok ? "call" : "failed", from, ms: call.ms, note: call.ok ? spent : `${call.error || "failed"}; ${spent}` };
}

function waterfall(receipt) {
  const rows = bars(receipt);
  if (!rows.length) return none("No step ran.");
  const end = Math.max(receipt.latency_ms, ...rows.map((row) => row.from + row.ms), 0.001);
  const lines = rows.map((row) => {
    const bar = make("span", { class: `bar ${row.kind}` });
    bar.style.setProperty("--from", `${(100 * row.from) / end}%`);
    bar.style.setProperty("--part", `${(100 * row.ms) / end}%`);
    return make("tr", { class: row.kind },
      make("th", { scope: "row" }, row.name, row.note ? make("small", {}, row.note) : null),
      make("td", { class: "number" }, seconds(row.ms)),
      make("td", { class: "lane" }, bar));
  });
  const head = make("tr", {}, make("th", { scope: "col" }, "Step or call"), make("th", { scope: "col", class: "number" }, "Time"), make("th", { scope: "col" }, `0 to ${seconds(end)}`));
  return make("table", { class: "waterfall" }, make("caption", { class: "unseen" }, "Steps and calls of the turn"), make("thead", {}, head), make("tbody", {}, ...lines));
}

function verdicts({ verdicts: found }) {
  if (!found.length) return none("No guard spoke.");
  const columns = [["Guard", (one) => one.guard], ["Action", (one) => make("span", { class: one.action === "pass" ? "" : "bad" }, one.action)], ["Reason", (one) => one.reason || "–"], ["Score", (one) => one.score.toFixed(2), "number"]];
  return table(columns, found, "Verdicts of the guards");
}

function passages({ passages: found }) {
  if (!found.length) return none("Nothing was looked up.");
  const columns = [["Article", (one) => one.title || one.article], ["Score", (one) => one.score.toFixed(2), "number"], ["Text", (one) => one.text, "words"]];
  return table(columns, found, "Passages that were found");
}

function scores({ scores: found }) {
  if (!found.length) return none("Not judged.");
  const columns = [["Dimension", (one) => one.name], ["Score", (one) => (one.value === null ? "unscored" : percent(one.value)), "number"], ["Comment", (one) => one.comment || "–", "words"]];
  return table(columns, found, "Scores of the judge");
}
