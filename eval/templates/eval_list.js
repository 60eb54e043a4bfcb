// A list that shows a page of its items at a time: filters, search, order. It knows items by their
// number alone; what they hold is parsed when it is shown or searched.
const parsed = new Map();

function chunkOf(size) {
  return (number) => {
    const at = Math.floor(number / size);
    if (!parsed.has(at)) parsed.set(at, data(`chunk-${at}`));
    return parsed.get(at)[number % size];
  };
}

// Several samples of an item share the prompt of the first.
const promptOf = (text, one) => (typeof one.prompt === "number" ? text(one.prompt).prompt : one.prompt) || "";

function chooser(name, options, change) {
  const select = el("select", { onchange: change, "aria-label": name },
    ...options.map(([value, shown]) => el("option", { value }, shown)));
  return { node: el("label", {}, el("span", {}, name), select), select };
}

function list({ root, count, filters, orders, modes, matches, card, noun }) {
  const PAGE = 20;
  let shown = [];
  let page = 0;
  let mode = modes[0][0];
  let waiting = 0;
  const found = el("p", { class: "count", role: "status" });
  const box = el("div", { class: "items" });
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 150);
  };
  const search = el("input", { type: "search", placeholder: "words in prompt or response", oninput: later, "aria-label": "Search" });
  const controls = filters.map((one) => ({ ...one, ...chooser(one.name, one.options, () => apply()) }));
  const order = chooser("Order", orders.map(([name], i) => [i, name]), () => apply());
  const buttons = modes.map(([value, name]) => el("button", { type: "button", "aria-pressed": String(value === mode), onclick: () => {
    mode = value;
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(modes[i][0] === mode)));
    draw();
  } }, name));
  const pager = [el("div", { class: "pager" }), el("div", { class: "pager" })];
  root.replaceChildren(
    el("div", { class: "filters card" },
      ...controls.map((one) => one.node), order.node,
      el("label", { class: "wide" }, el("span", {}, "Search"), search),
      el("div", { class: "modes", role: "group", "aria-label": "View" }, ...buttons)),
    el("div", { class: "over" }, found, pager[0]), box, pager[1]);

  function apply() {
    const active = controls.filter((one) => one.select.value !== "");
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    for (let i = 0; i < count; i += 1) {
      if (active.every((one) => one.test(i, one.select.value)) && (!words.length || matches(i, words))) shown.push(i);
    }
    const compare = orders[Number(order.select.value)][1];
    if (compare) shown.sort(compare);
    page = 0;
    draw();
  }
  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    const start = page * PAGE;
    found.textContent = `${shown.length.toLocaleString("en")} of ${count.toLocaleString("en")} ${noun}`;
    box.replaceChildren(...shown.slice(start, start + PAGE).map((i) => card(i, mode)));
    if (!shown.length) box.append(el("p", { class: "absent" }, "Nothing fits these filters."));
    const go = (to) => () => {
      page = to;
      draw();
      root.scrollIntoView();
    };
    for (const bar of pager) {
      bar.replaceChildren();
      if (pages < 2) continue;
      bar.append(
        el("button", { type: "button", disabled: page === 0, onclick: go(page - 1) }, "‹ Previous"),
        el("span", {}, `${(page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`),
        el("button", { type: "button", disabled: page === pages - 1, onclick: go(page + 1) }, "Next ›"));
    }
  }
  apply();
  return (values) => {
    for (const one of controls) one.select.value = values[one.key] ?? "";
    search.value = values.search ?? "";
    apply();
    root.parentElement.scrollIntoView();
  };
}

// Buttons elsewhere on the page that show items: data-go holds the filters.
function connect(go) {
  for (const button of document.querySelectorAll("button[data-go]")) {
    button.addEventListener("click", () => go(JSON.parse(button.dataset.go)));
  }
}

const options = (values, name) => [["", name || "all"], ...values.map((value) => [value, value])];
const natural = (a, b) => a.localeCompare(b, "en", { numeric: true });
const chip = (text, tone = "") => el("span", { class: `chip ${tone}` }, text);
