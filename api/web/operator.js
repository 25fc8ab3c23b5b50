/** An operator's key, kept in this tab alone, and what is asked with it. It travels in a header: no other page can send it. */

const KEY = "frontdesk-operator";
const WRONG = new Set([401, 403]);

export class Refused extends Error {}

export const key = () => sessionStorage.getItem(KEY);
export const keep = (given) => sessionStorage.setItem(KEY, given.trim());
export const forget = () => sessionStorage.removeItem(KEY);

/** An operation that reads. */
export const ask = (operation, fields = {}) => send(`${operation}?${new URLSearchParams(fields)}`, {});

/** An operation that changes something. */
export const act = (operation, fields) => send(operation, { method: "POST", body: JSON.stringify(fields), headers: { "Content-Type": "application/json" } });

async function send(path, { headers, ...options }) {
  const answer = await fetch(`/admin/${path}`, { ...options, headers: { ...headers, Authorization: `Bearer ${key()}` }, cache: "no-store" });
  const body = await answer.json().catch(() => ({}));
  if (WRONG.has(answer.status)) throw new Refused(body.detail || body.title || "That key does not open this page.");
  if (!answer.ok) throw Object.assign(new Error(body.detail || body.title || `The server answers ${answer.status}.`), { status: answer.status });
  return body;
}
