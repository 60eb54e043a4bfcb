// The items of an evaluation.
const index = data("index");
const rows = index.rows;
const text = chunkOf(index.chunk);
const [TASK, ID, OUTCOME, SORT, TOKENS, SAMPLE, FACETS] = [0, 1, 2, 3, 4, 5, 6];

function searchable(one) {
  one.searched ??= `${promptOf(text, one)}\n${one.response || ""}\n${one.gold || ""}`.toLowerCase();
  return one.searched;
}

function itemCard(i, mode) {
  const row = rows[i];
  const one = text(i);
  const show = (value) => (mode === "source" ? source(value) : rendered(value || "", false));
  const prompt = promptOf(text, one);
  const outcome = row[OUTCOME];
  const tone = outcome === "right" ? "good" : outcome === "verifier_failed" ? "bad" : "plain";
  const facts = [`${row[TOKENS].toLocaleString("en")} tokens`];
  if (one.finish && one.finish !== "stop") facts.push(`ended by ${one.finish}`);
  if (row[SAMPLE]) facts.push(`sample ${row[SAMPLE]}`);
  index.facets.forEach((name, k) => { if (row[FACETS + k]) facts.push(`${name} ${row[FACETS + k]}`); });
  const asked = el("div", { class: "asked" }, el("h4", {}, `${index.tasks[row[TASK]]} · ${row[ID]}`), clipped(show(prompt), prompt.length));
  if (one.gold) {
    const long = one.gold.length > 120;
    asked.append(long ? el("details", { class: "more" }, el("summary", {}, "Gold answer"), el("pre", { class: "tx" }, one.gold))
      : el("p", { class: "gold" }, "Gold answer ", el("code", {}, one.gold)));
  }
  const side = el("div", { class: "side" },
    el("p", { class: "chips" }, chip(index.titles[outcome], tone), ...(row[SORT] ? [chip(row[SORT])] : []), el("span", { class: "hint" }, facts.join(" · "))));
  if (one.why) side.append(el("p", { class: "why" }, one.why));
  side.append(clipped(show(one.response), (one.response || "").length));
  if (one.pred && one.pred !== one.gold && one.pred.length < 200) side.append(el("p", { class: "gold" }, "Read as ", el("code", {}, one.pred)));
  return el("article", { class: "card sample same" }, asked, side);
}

const outcomes = Object.entries(index.titles).filter(([key]) => rows.some((row) => row[OUTCOME] === key));
const sorts = [...new Set(rows.map((row) => row[SORT]).filter(Boolean))].sort(natural);
const filters = [
  { key: "outcome", name: "Outcome", options: [["", "all"], ["failed", "not right"], ...outcomes],
    test: (i, value) => (value === "failed" ? rows[i][OUTCOME] !== "right" : rows[i][OUTCOME] === value) },
];
if (index.tasks.length > 1) {
  filters.unshift({ key: "task", name: "Task", options: options(index.tasks), test: (i, value) => index.tasks[rows[i][TASK]] === value });
}
if (sorts.length) filters.push({ key: "sort", name: "Cause", options: options(sorts), test: (i, value) => rows[i][SORT] === value });
index.facets.forEach((name, k) => {
  const values = [...new Set(rows.map((row) => row[FACETS + k]).filter(Boolean))].sort(natural);
  filters.push({ key: `facet:${name}`, name: name[0].toUpperCase() + name.slice(1), options: options(values), test: (i, value) => rows[i][FACETS + k] === value });
});
connect(list({
  root: document.getElementById("list"),
  count: rows.length,
  noun: "responses",
  filters,
  orders: [["as asked", null], ["longest first", (a, b) => rows[b][TOKENS] - rows[a][TOKENS]], ["shortest first", (a, b) => rows[a][TOKENS] - rows[b][TOKENS]]],
  modes: [["rendered", "Rendered"], ["source", "Source"]],
  matches: (i, words) => words.every((word) => rows[i][ID].toLowerCase().includes(word) || searchable(text(i)).includes(word)),
  card: itemCard,
}));
document.documentElement.dataset.ready = Math.round(performance.now());
