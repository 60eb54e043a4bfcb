// The items that flipped between two models, side by side.
const index = data("index");
const rows = index.rows;
const text = chunkOf(index.chunk);
const [PAIR, TASK, DIRECTION, ID, BEFORE, AFTER, CONTAMINATED, FACETS] = [0, 1, 2, 3, 4, 5, 6, 7];

function searchable(one) {
  one.searched ??= `${promptOf(text, one)}\n${one.base.response || ""}\n${one.other.response || ""}`.toLowerCase();
  return one.searched;
}

function flipSide(name, one, shown, failure) {
  const share = one.share === 1 ? "right" : one.share === 0 ? "wrong" : `${Math.round(100 * one.share)}% right`;
  const side = el("div", { class: "side" },
    el("p", { class: "chips" }, el("span", { class: "when" }, name), chip(share, one.share >= 0.5 ? "good" : "plain"),
      ...(failure ? [chip(index.titles[failure])] : []), el("span", { class: "hint" }, `${(one.tokens || 0).toLocaleString("en")} tokens`)),
    clipped(shown, (one.response || "").length));
  if (one.pred && one.pred.length < 200) side.append(el("p", { class: "gold" }, "Read as ", el("code", {}, one.pred)));
  return side;
}

function flipCard(i, mode) {
  const row = rows[i];
  const one = text(i);
  const [base, other] = index.pairs[row[PAIR]];
  const prompt = promptOf(text, one);
  const plain = (value) => (mode === "rendered" ? rendered(value || "", false) : source(value));
  let before;
  let after;
  if (mode === "diff") {
    const [left, right] = differing(one.base.response || "", one.other.response || "");
    [before, after] = [marked(left, "del"), marked(right, "ins")];
  } else [before, after] = [plain(one.base.response), plain(one.other.response)];
  const asked = el("div", { class: "asked" },
    el("p", { class: "chips" }, el("strong", {}, `${index.tasks[row[TASK]]} · ${row[ID]}`), chip(index.directions[row[DIRECTION]], row[DIRECTION] === "gained" ? "good" : "bad"),
      ...(row[CONTAMINATED] ? [chip("in the training data", "bad")] : [])),
    clipped(mode === "rendered" ? rendered(prompt, false) : source(prompt), prompt.length));
  if (one.gold) {
    asked.append(one.gold.length > 120 ? el("details", { class: "more" }, el("summary", {}, "Gold answer"), el("pre", { class: "tx" }, one.gold))
      : el("p", { class: "gold" }, "Gold answer ", el("code", {}, one.gold)));
  }
  return el("article", { class: "card sample" }, asked, el("div", { class: "sides" },
    flipSide(base, one.base, before, row[BEFORE]), flipSide(other, one.other, after, row[AFTER])));
}

const filters = [
  { key: "direction", name: "Change", options: [["", "all"], ...Object.entries(index.directions)], test: (i, value) => rows[i][DIRECTION] === value },
];
if (index.tasks.length > 1) filters.push({ key: "task", name: "Task", options: options(index.tasks), test: (i, value) => index.tasks[rows[i][TASK]] === value });
if (index.pairs.length > 1) {
  filters.unshift({ key: "pair", name: "Models", options: index.pairs.map(([a, b], k) => [String(k), `${a} → ${b}`]), test: (i, value) => rows[i][PAIR] === Number(value) });
}
const lostAs = [...new Set(rows.map((row) => row[AFTER]).filter(Boolean))];
if (lostAs.length > 1) filters.push({ key: "after", name: "Fails now by", options: [["", "all"], ...lostAs.map((key) => [key, index.titles[key]])], test: (i, value) => rows[i][AFTER] === value });
if (rows.some((row) => row[CONTAMINATED])) {
  filters.push({ key: "contaminated", name: "Contaminated", options: [["", "all"], ["yes", "yes"], ["no", "no"]], test: (i, value) => Boolean(rows[i][CONTAMINATED]) === (value === "yes") });
}
index.facets.forEach((name, k) => {
  const values = [...new Set(rows.map((row) => row[FACETS + k]).filter(Boolean))].sort(natural);
  filters.push({ key: `facet:${name}`, name: name[0].toUpperCase() + name.slice(1), options: options(values), test: (i, value) => rows[i][FACETS + k] === value });
});
const size = (i) => text(i).base.tokens + text(i).other.tokens;
connect(list({
  root: document.getElementById("list"),
  count: rows.length,
  noun: "flips",
  filters,
  orders: [["as asked", null], ["longest first", (a, b) => size(b) - size(a)], ["shortest first", (a, b) => size(a) - size(b)]],
  modes: [["diff", "Differences"], ["rendered", "Rendered"], ["source", "Source"]],
  matches: (i, words) => words.every((word) => rows[i][ID].toLowerCase().includes(word) || searchable(text(i)).includes(word)),
  card: flipCard,
}));
document.documentElement.dataset.ready = Math.round(performance.now());
