"use strict";
// Reads the timeline under the pointer, goes to key frames, fades the saliency. Without it the page
// shows the same: the numbered marks are plain links.
(() => {
  const get = (id) => document.getElementById(id);
  const plot = get("plot"), strip = get("strip"), cursor = get("cursor"), readout = get("readout");
  const points = JSON.parse(plot.dataset.points); // [x, words], x ascending
  const keys = JSON.parse(plot.dataset.keys); // [x, rank], x ascending
  let at = -1; // place in points, -1 before the first look

  const nearest = (list, x) =>
    list.reduce((best, [place], index) =>
      Math.abs(place - x) < Math.abs(list[best][0] - x) ? index : best, 0);

  function look(index) {
    if (!points.length) return;
    at = Math.min(Math.max(index, 0), points.length - 1);
    const [x, words] = points[at];
    cursor.setAttribute("transform", `translate(${x} 0)`);
    cursor.setAttribute("visibility", "visible");
    readout.textContent = words;
  }

  // On a narrow screen the timeline is wider than its strip.
  function follow(index) {
    look(index);
    if (at >= 0) strip.scrollLeft = points[at][0] / plot.viewBox.baseVal.width * strip.scrollWidth - strip.clientWidth / 2;
  }

  function go(place) {
    const [x, rank] = keys[place];
    follow(nearest(points, x));
    const frame = get(`frame-${rank}`);
    frame.focus({ preventScroll: true });
    frame.scrollIntoView({ block: "start" });
  }

  // The key frame before (-1) or after (+1) the one in focus, or else the cursor.
  function neighbour(step) {
    const frame = document.activeElement.closest("article.frame");
    if (frame) {
      const here = keys.findIndex(([, rank]) => frame.id === `frame-${rank}`);
      return here + step;
    }
    if (at < 0) return step > 0 ? 0 : keys.length - 1;
    const x = points[at][0];
    return step > 0 ? keys.findIndex(([key]) => key > x + 0.05)
      : keys.findLastIndex(([key]) => key < x - 0.05);
  }

  function step(direction, fine) {
    if (fine) return follow(at < 0 ? 0 : at + direction);
    const place = neighbour(direction);
    if (!keys[place]) return undefined;
    if (!strip.contains(document.activeElement)) return go(place);
    return follow(nearest(points, keys[place][0]));
  }

  const under = (event) =>
    new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse()).x;

  plot.addEventListener("pointermove", (event) => look(nearest(points, under(event))));
  plot.addEventListener("click", (event) => {
    if (!keys.length) return;
    event.preventDefault();
    const mark = event.target.closest("a.mark");
    const rank = mark && Number(mark.getAttribute("href").slice("#frame-".length));
    go(mark ? keys.findIndex((key) => key[1] === rank) : nearest(keys, under(event)));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input") || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      step(event.key === "ArrowLeft" ? -1 : 1, event.shiftKey);
      event.preventDefault();
    } else if (event.key === "Enter" && event.target === strip && keys.length) {
      go(nearest(keys, at < 0 ? 0 : points[at][0]));
      event.preventDefault();
    }
  });

  const drawn = [...document.querySelectorAll(".stack img")];
  for (const over of drawn) {
    const under = over.closest(".pair").querySelector("img.original").cloneNode();
    under.alt = "";
    over.before(under);
  }
  get("opacity")?.addEventListener("input", (event) => {
    for (const over of drawn) over.style.opacity = event.target.value / 100;
    get("shown").textContent = `${event.target.value}%`;
  });

  strip.parentElement.classList.add("live");
  for (const id of ["readout", "hint", "fade"]) if (get(id)) get(id).hidden = false;
})();
