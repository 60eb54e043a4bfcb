// Text as a page shows it: formulas as MathML, code with its words marked, differences between two
// texts. All text goes in by textContent or as a text node, never as markup. The tables of LaTeX come
// from the page's data (data_prep.inspection.mathml); what they do not know stays as its source.
const data = (id) => JSON.parse(document.getElementById(id).textContent);
const latex = data("latex");
const MATHML = "http://www.w3.org/1998/Math/MathML";

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function math(name, attributes, ...children) {
  const node = document.createElementNS(MATHML, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

class Unknown extends Error {}

class Formula {
  constructor(text) {
    this.text = text;
    this.tokens = [...text.matchAll(new RegExp(latex.token, "gsu"))]
      .filter((m) => m[4] === undefined)
      .map((m) => ({ text: m[0], start: m.index, end: m.index + m[0].length }));
    this.at = 0;
    this.depth = 0;
  }
  peek() { return this.at < this.tokens.length ? this.tokens[this.at].text : ""; }
  take() {
    const token = this.peek();
    if (!token) throw new Unknown("ends too early");
    this.at += 1;
    return token;
  }
  rawGroup() {
    if (this.take() !== "{") throw new Unknown("no braces");
    const start = this.tokens[this.at - 1].end;
    let depth = 1;
    while (depth) {
      const token = this.take();
      depth += (token === "{") - (token === "}");
    }
    return this.text.slice(start, this.tokens[this.at - 1].start);
  }
  row(...ends) {
    this.depth += 1;
    if (this.depth > latex.deepest) throw new Unknown("nested too deep");
    const made = [];
    for (let token = this.peek(); !ends.includes(token); token = this.peek()) {
      if (!token) throw new Unknown("ends too early");
      made.push(...this.scripted());
    }
    this.depth -= 1;
    return made;
  }
  scripted() {
    const bare = this.peek() === "^" || this.peek() === "_";
    const base = bare ? [math("mrow")] : this.atom();
    let below = null;
    const above = [];
    while (["^", "_", "'"].includes(this.peek())) {
      const sign = this.take();
      if (sign === "_") below = this.argument();
      else above.push(...(sign === "^" ? this.argument() : [math("mo", {}, "\u2032")]));
    }
    if (below && above.length) return [math("msubsup", {}, ...base, ...below, math("mrow", {}, ...above))];
    if (below) return [math("msub", {}, ...base, ...below)];
    return above.length ? [math("msup", {}, ...base, math("mrow", {}, ...above))] : base;
  }
  argument() {
    const token = this.tokens[this.at];
    if (token && /^\d/.test(token.text) && token.text.length > 1) {
      const first = { text: token.text[0], start: token.start, end: token.start + 1 };
      const rest = [...token.text.slice(1).matchAll(new RegExp(latex.token, "gsu"))].map((m) => ({
        text: m[0], start: token.start + 1 + m.index, end: token.start + 1 + m.index + m[0].length,
      }));
      this.tokens.splice(this.at, 1, first, ...rest);
    }
    return this.atom();
  }
  atom() {
    const token = this.take();
    if (token === "{") {
      const made = this.row("}");
      this.take();
      return [math("mrow", {}, ...made)];
    }
    if (/^\d/.test(token)) return [math("mn", {}, token)];
    if (/^\p{L}+$/u.test(token)) return [math("mi", {}, token)];
    if (token.startsWith("\\")) return this.command(token.slice(1));
    if (token === "}" || token === "&") throw new Unknown(`a lone ${token}`);
    return [math("mo", {}, token.replaceAll("~", " ").replaceAll("-", "\u2212"))];
  }
  command(name) {
    if (["frac", "dfrac", "tfrac", "cfrac"].includes(name)) {
      return [math("mfrac", {}, ...this.argument(), ...this.argument())];
    }
    if (name === "binom" || name === "dbinom") {
      const inner = math("mfrac", { linethickness: "0" }, ...this.argument(), ...this.argument());
      return [math("mrow", {}, math("mo", {}, "("), inner, math("mo", {}, ")"))];
    }
    if (name === "sqrt") {
      if (this.peek() !== "[") return [math("msqrt", {}, ...this.argument())];
      this.take();
      const degree = this.row("]");
      this.take();
      return [math("mroot", {}, ...this.argument(), math("mrow", {}, ...degree))];
    }
    if (name === "boxed" || name === "fbox") return [math("mrow", { class: "boxed" }, ...this.argument())];
    if (name in latex.accents) {
      return [math("mover", {}, ...this.argument(), math("mo", {}, latex.accents[name]))];
    }
    if (latex.texts.includes(name)) return [math("mtext", {}, this.rawGroup().replaceAll(" ", "\u00a0"))];
    if (latex.spaced.includes(name)) {
      if ((name === "left" || name === "right") && this.peek() === ".") this.take();
      return [];
    }
    if (name in latex.greek) return [math("mi", {}, latex.greek[name])];
    if (latex.names.includes(name)) return [math("mi", {}, name)];
    if (name === "bmod") return [math("mi", {}, "mod")];
    if (name === "pmod") {
      return [math("mrow", {}, math("mo", {}, "("), math("mi", {}, "mod"), ...this.argument(), math("mo", {}, ")"))];
    }
    if (name in latex.spaces) return [math("mspace", { width: `${latex.spaces[name]}em` })];
    if (name in latex.signs) return [math("mo", {}, latex.signs[name])];
    if (name === "begin") return this.environment();
    if (name === "\\") return [math("mspace", { linebreak: "newline" })];
    throw new Unknown(`\\${name}`);
  }
  environment() {
    const name = this.rawGroup();
    if (!latex.environments.includes(name)) throw new Unknown(name);
    if (name === "array" && this.peek() === "{") this.rawGroup();
    const rows = [[]];
    for (;;) {
      rows.at(-1).push(math("mtd", {}, ...this.row("&", "\\\\", "\\end")));
      const sign = this.take();
      if (sign === "\\end") {
        this.rawGroup();
        break;
      }
      if (sign === "\\\\") rows.push([]);
    }
    const table = math("mtable", {}, ...rows.map((cells) => math("mtr", {}, ...cells)));
    const fences = latex.fences[name] || "";
    const fence = (sign) => (sign ? [math("mo", {}, sign)] : []);
    return [math("mrow", {}, ...fence(fences[0]), table, ...fence(fences[1]))];
  }
}

function formula(text, block) {
  try {
    const inner = math("mrow", {}, ...new Formula(text.trim()).row(""));
    return math("math", block ? { display: "block" } : {}, inner);
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return el("code", {}, text);
  }
}

// What stands between formulas: boxes that answers end with, `code`, **strong** words.
function prose(text, into) {
  const parts = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\\boxed\{/g;
  let last = 0;
  for (let found = parts.exec(text); found; found = parts.exec(text)) {
    let end = parts.lastIndex;
    let node;
    if (found[1] !== undefined) node = el("code", {}, found[1]);
    else if (found[2] !== undefined) node = el("strong", {}, found[2]);
    else {
      let depth = 1;
      while (depth && end < text.length) {
        depth += (text[end] === "{") - (text[end] === "}");
        end += 1;
      }
      if (depth) break;
      node = formula(text.slice(found.index, end), false);
    }
    into.append(text.slice(last, found.index), node);
    last = parts.lastIndex = end;
  }
  into.append(text.slice(last));
}

function withMaths(text, into) {
  let last = 0;
  for (const found of text.matchAll(new RegExp(latex.formula, "gs"))) {
    prose(text.slice(last, found.index), into);
    const inner = found.slice(1).find((part) => part !== undefined);
    into.append(formula(inner, found[1] === undefined ? found[2] !== undefined || found[5] !== undefined : true));
    last = found.index + found[0].length;
  }
  prose(text.slice(last), into);
}

const WORDS = new Set(("and as assert async await break class continue def del elif else except False " +
  "finally for from global if import in is lambda None nonlocal not or pass raise return True try " +
  "while with yield").split(" "));
const CODE = /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|([A-Za-z_]\w*)|(\d[\w.]*)/g;

function code(text) {
  const block = el("pre", { class: "program" });
  let last = 0;
  for (const found of text.matchAll(CODE)) {
    const kind = found[1] ? "k-note" : found[2] ? "k-text" : found[4] ? "k-number" : WORDS.has(found[3]) ? "k-word" : "";
    if (!kind) continue;
    block.append(text.slice(last, found.index), el("span", { class: kind }, found[0]));
    last = found.index + found[0].length;
  }
  block.append(text.slice(last));
  return block;
}

// A text for reading. Fenced blocks are code; `program`: so is all of it where it has no fence.
function rendered(text, program) {
  const box = el("div", { class: "prose" });
  if (!text) return el("div", { class: "prose" }, el("em", {}, "(empty)"));
  if (program && !text.includes("```")) {
    box.append(code(text));
    return box;
  }
  // Fenced blocks, and the drawings in Asymptote that MATH is full of.
  const fence = /^[ \t]*```[^\n]*\n([\s\S]*?)(?:^[ \t]*```[ \t]*$\n?|(?![\s\S]))|\[asy\]\n?([\s\S]*?)(?:\[\/asy\]|(?![\s\S]))/gm;
  let last = 0;
  for (const found of text.matchAll(fence)) {
    withMaths(text.slice(last, found.index), box);
    box.append(code((found[1] ?? found[2]).replace(/\n$/, "")));
    last = found.index + found[0].length;
  }
  withMaths(text.slice(last), box);
  return box;
}

const source = (text) => el("pre", { class: "tx" }, text || el("em", {}, "(empty)"));

// Which words of two texts differ: the longest common subsequence of the middle that is not equal.
function differing(a, b) {
  const split = (text) => text.match(/\s+|\w+|[^\s\w]/g) || [];
  const left = split(a);
  const right = split(b);
  let head = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) head += 1;
  let tail = 0;
  while (tail < left.length - head && tail < right.length - head &&
    left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail += 1;
  const one = left.slice(head, left.length - tail);
  const two = right.slice(head, right.length - tail);
  const marks = [new Uint8Array(left.length), new Uint8Array(right.length)];
  const width = two.length + 1;
  if (one.length * width > 4e6) {
    marks[0].fill(1, head, left.length - tail);
    marks[1].fill(1, head, right.length - tail);
    return [[left, marks[0]], [right, marks[1]]];
  }
  const best = new Uint16Array((one.length + 1) * width);
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = two.length - 1; j >= 0; j -= 1) {
      best[i * width + j] = one[i] === two[j] ? best[(i + 1) * width + j + 1] + 1
        : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    }
  }
  let i = 0;
  let j = 0;
  while (i < one.length || j < two.length) {
    if (i < one.length && j < two.length && one[i] === two[j]) {
      i += 1;
      j += 1;
    } else if (j >= two.length || (i < one.length && best[(i + 1) * width + j] >= best[i * width + j + 1])) {
      marks[0][head + i] = 1;
      i += 1;
    } else {
      marks[1][head + j] = 1;
      j += 1;
    }
  }
  return [[left, marks[0]], [right, marks[1]]];
}

function marked([words, marks], kind) {
  const box = el("pre", { class: "tx" });
  for (let at = 0; at < words.length;) {
    let end = at;
    while (end < words.length && marks[end] === marks[at]) end += 1;
    const text = words.slice(at, end).join("");
    box.append(marks[at] ? el(kind, {}, text) : text);
    at = end;
  }
  return box;
}

// A long text is clipped until it is asked for.
function clipped(node, length) {
  if (length < 1400) return node;
  const box = el("div", { class: "clip" }, node);
  const open = el("button", { type: "button", class: "link", onclick: () => {
    box.classList.remove("clip");
    open.remove();
  } }, `Show all ${length.toLocaleString("en")} characters`);
  return el("div", {}, box, open);
}
