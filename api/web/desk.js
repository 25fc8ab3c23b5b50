// The page's only talk with the server. Every failure leaves here as a Trouble of a known kind.

import { readEvents } from "./sse.js";

// A local model on a slow machine may think for long; the server's heartbeats renew the wait.
const SILENCE_MS = 120_000;
const SMALL_CALL_MS = 15_000;

const KINDS = {
  400: "unreadable", 401: "session", 403: "session", 404: "missing", 409: "busy",
  413: "tooLong", 422: "unreadable", 429: "tooMany", 502: "unavailable", 503: "unavailable", 504: "unavailable",
};

/** kind: offline | broken | busy | tooMany | unavailable | tooLong | unreadable | session | missing | other */
export class Trouble extends Error {
  constructor(kind, waitSeconds = null) {
    super(kind);
    this.kind = kind;
    this.waitSeconds = waitSeconds;
  }
}

/** `{name, languages, greeting, suggestions, departments, mode, contact}` */
export const fetchDesk = () => call("/v1/desk");

/** `{thread_id, messages}`; a Trouble of kind "missing" when the thread is gone or not ours. */
export const fetchThread = (id) => call(`/v1/threads/${encodeURIComponent(id)}`);

/** Withdraws the thread's request for a person: `{ticket}`, null where none is open any more. */
export const withdraw = (id) => call(`/v1/threads/${encodeURIComponent(id)}/withdraw`, { method: "POST" });

export const sendFeedback = (feedback) => call("/v1/feedback", { method: "POST", ...json(feedback) });

/** One turn. `onEvent(name, data)` hears step, token, sources, retract; resolves to the Reply. */
export async function askDesk({ body, key, signal }, onEvent) {
  const patience = giveUpAfter(SILENCE_MS, signal);
  try {
    const response = await reach("/v1/chat", {
      method: "POST",
      signal: patience.signal,
      ...json(body, { Accept: "text/event-stream", "Idempotency-Key": key }),
    });
    return await readReply(response, onEvent, patience.renew);
  } finally {
    patience.end();
  }
}

async function readReply(response, onEvent, onBytes) {
  try {
    // A server that answers a repeated key from memory may send the bare Reply.
    if (mediaType(response) === "application/json") return await response.json();
    for await (const { event, data } of readEvents(response.body, onBytes)) {
      if (event === "done") return data;
      if (event === "error") throw new Trouble(KINDS[data?.status] ?? "other");
      onEvent(event, data);
    }
  } catch (error) {
    throw error instanceof Trouble ? error : new Trouble("broken");
  }
  throw new Trouble("broken");
}

async function call(path, options = {}) {
  const response = await reach(path, { signal: AbortSignal.timeout(SMALL_CALL_MS), ...options });
  if (mediaType(response) !== "application/json") return null;
  try {
    return await response.json();
  } catch {
    throw new Trouble("broken");
  }
}

async function reach(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Trouble("offline");
  }
  if (response.ok) return response;
  throw new Trouble(KINDS[response.status] ?? "other", secondsToWait(response));
}

function json(body, headers = {}) {
  return { headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
}

function mediaType(response) {
  return (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
}

function secondsToWait(response) {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return seconds > 0 ? seconds : null;
}

/** A signal that fires when `signal` does, or when nobody has renewed it for `ms`. */
function giveUpAfter(ms, signal) {
  const own = new AbortController();
  const stop = () => own.abort();
  let timer = setTimeout(stop, ms);
  signal.addEventListener("abort", stop);
  return {
    signal: own.signal,
    renew: () => {
      clearTimeout(timer);
      timer = setTimeout(stop, ms);
    },
    end: () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    },
  };
}

/** randomUUID exists on https and localhost only; a desk in a home network may be plain http. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
