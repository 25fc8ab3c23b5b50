/** Elements and numbers. Text is always set as text: nothing from the ledger is ever read as markup. */

import { language, say } from "/web/strings.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

export const byId = (id) => document.getElementById(id);

const missing = (value) => value === null || value === undefined;

/** With so many digits behind the point, as the language writes them. */
export const fixed = (value, digits) => value.toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const count = (value) => (missing(value) ? "–" : fixed(value, 0));
export const percent = (value) => (missing(value) ? "–" : `${fixed(100 * value, 1)} %`);

export function seconds(ms) {
  if (missing(ms)) return "–";
  if (ms >= 10_000) return `${fixed(ms / 1000, 1)} s`;
  if (ms >= 1_000) return `${fixed(ms / 1000, 2)} s`;
  return ms >= 10 ? `${fixed(ms, 0)} ms` : `${fixed(ms, 1)} ms`;
}

export function usd(value) {
  if (missing(value)) return "–";
  if (value === 0) return "$0";
  if (value >= 1) return `$${fixed(value, 2)}`;
  return `$${value.toLocaleString(language(), { minimumSignificantDigits: 2, maximumSignificantDigits: 2 })}`;
}

const places = { en: "en-GB", vi: "vi-VN" };

/** A time in UTC, in the parts that are asked for. */
export const utc = (at, parts) => new Date(at).toLocaleString(places[language()], { timeZone: "UTC", ...parts });

/** 2026-11-21T09:30:12+00:00 as it is written in UTC: 21 Nov 09:30, never broken over two lines. */
export function moment(iso) {
  return utc(iso, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).replace(",", "").replaceAll(" ", "\u00a0");
}

/** A table that scrolls sideways on its own. `columns`: [heading, cell of a row, "number" to stand right]. */
export function table(columns, rows, caption) {
  const head = make("tr", {}, ...columns.map(([name, , kind]) => make("th", { scope: "col", class: kind }, name)));
  const body = rows.map((row) => make("tr", {}, ...columns.map(([, cell, kind]) => make("td", { class: kind }, cell(row)))));
  const found = make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, found);
}

/** name: of its heading in the strings. */
export function section(name, ...children) {
  const id = `s-${name}`;
  return make("section", { "aria-labelledby": id }, make("h2", { id }, say(name)), ...children);
}

export const none = (words) => make("p", { class: "hint" }, words);
