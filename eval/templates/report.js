// Reads a chart's values under the pointer; the page is whole without it. All text goes in by
// textContent, never as markup.
for (const plot of document.querySelectorAll("svg.plot")) {
  const series = JSON.parse(plot.dataset.series);
  const latest = plot.parentElement.querySelector(".latest");
  const before = [...latest.children].map((node) => node.textContent);
  const make = (name, attributes) => {
    const node = document.createElementNS(plot.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return plot.appendChild(node);
  };
  const guide = make("line", { class: "guide", y1: 30, y2: 200, visibility: "hidden" });
  const dots = series.map((_, i) =>
    make("circle", { class: `last c${(i % 4) + 1}`, r: 4, visibility: "hidden" }));
  const leave = () => {
    [...latest.children].forEach((node, i) => { node.textContent = before[i]; });
    for (const node of [guide, ...dots]) node.setAttribute("visibility", "hidden");
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 400;
    const near = (points) =>
      points.reduce((a, b) => (Math.abs(b[2] - x) < Math.abs(a[2] - x) ? b : a));
    const at = series.map((line) => near(line.points));
    const step = at.reduce((a, b) => (Math.abs(b[2] - x) < Math.abs(a[2] - x) ? b : a))[0];
    const texts = [];
    at.forEach((point, i) => {
      const hit = point[0] === step;
      dots[i].setAttribute("visibility", hit ? "visible" : "hidden");
      if (!hit) return;
      dots[i].setAttribute("cx", point[2]);
      dots[i].setAttribute("cy", point[3]);
      guide.setAttribute("x1", point[2]);
      guide.setAttribute("x2", point[2]);
      texts.push(series[i].name ? `${series[i].name} ${point[1]}` : point[1]);
    });
    guide.setAttribute("visibility", "visible");
    latest.children[0].textContent = texts.join(" · ");
    latest.children[1].textContent = `step ${step}`;
  });
  plot.addEventListener("pointerleave", leave);
}
