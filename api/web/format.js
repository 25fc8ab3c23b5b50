// Text of the desk → DOM nodes. Everything goes through text nodes, so markup in the text stays text.
// Knows paragraphs, line breaks, flat lists and **bold**; deliberately knows no links and no images.

const BULLET = /^\s*[-*•]\s+(.*)$/;
const NUMBER = /^\s*(\d{1,3})[.)]\s+(.*)$/;
const BOLD = /\*\*(\S(?:.*?\S)?)\*\*/;

/** Replaces the children of `node` with the formatted text. */
export function showText(node, text) {
  node.replaceChildren(...blocksOf(text));
}

function blocksOf(text) {
  const blocks = [];
  let open = null;
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (!line.trim()) {
      open = null;
      continue;
    }
    const { tag, content, start } = readLine(line);
    if (open?.localName !== tag) {
      open = makeBlock(tag, start);
      blocks.push(open);
    }
    addLine(open, content);
  }
  return blocks;
}

function readLine(line) {
  const bullet = BULLET.exec(line);
  if (bullet) return { tag: "ul", content: bullet[1] };
  const number = NUMBER.exec(line);
  if (number) return { tag: "ol", content: number[2], start: Number(number[1]) };
  return { tag: "p", content: line };
}

function makeBlock(tag, start) {
  const block = document.createElement(tag);
  if (start > 1) block.start = start;
  return block;
}

function addLine(block, content) {
  const spans = spansOf(content);
  if (block.localName !== "p") {
    const item = document.createElement("li");
    item.append(...spans);
    block.append(item);
    return;
  }
  if (block.hasChildNodes()) block.append(document.createElement("br"));
  block.append(...spans);
}

function spansOf(content) {
  // split() with one capture group alternates: plain, bold, plain, bold, …
  return content.split(BOLD).map((part, place) => {
    if (place % 2 === 0) return document.createTextNode(part);
    const strong = document.createElement("strong");
    strong.textContent = part;
    return strong;
  });
}

/** The address as a link target, or null unless it is plain https without a hidden user name. */
export function safeLink(address) {
  if (typeof address !== "string" || !URL.canParse(address)) return null;
  const url = new URL(address);
  return url.protocol === "https:" && !url.username && !url.password ? url.href : null;
}
