// Server-sent events read from a fetch body (EventSource can neither POST nor send headers).
// Follows the WHATWG rules: any of LF, CRLF, CR ends a line, a blank line ends an event,
// a chunk may break anywhere, even inside a character.

/** Yields `{event, data}` with data parsed as JSON. `onBytes` is called for every chunk, heartbeats too. */
export async function* readEvents(body, onBytes = () => {}) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const assemble = eventAssembler();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const cut = splitLines(rest + decoder.decode(value, { stream: true }));
      rest = cut.rest;
      for (const line of cut.lines) {
        const event = assemble(line);
        if (event) yield event;
      }
    }
  } finally {
    // Released, not cancelled: the server may still be finishing its own work after `done`.
    reader.releaseLock();
  }
}

/** Splits off the whole lines. A CR at the very end may be half of a CRLF and stays in the rest. */
export function splitLines(text) {
  const ends = /\r\n|\n|\r(?!$)/g;
  const lines = text.split(ends);
  return { rest: lines.pop(), lines };
}

function eventAssembler() {
  let event = "message";
  let data = [];
  return (line) => {
    if (line === "") {
      const finished = data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
      event = "message";
      data = [];
      return finished;
    }
    const [field, value] = splitField(line);
    if (field === "event") event = value;
    if (field === "data") data.push(value);
    return null;
  };
}

function splitField(line) {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
