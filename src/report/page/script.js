"use strict";
(() => {
const page = document, root = page.documentElement;
const all = (selector, within = page) => [...within.querySelectorAll(selector)];
root.classList.add("js");

// The reader's choices, kept after # in the address: only those that differ from the defaults.
const state = new Map();
const save = () => {
  const text = [...state].map(([key, value]) => encodeURIComponent(key) + "=" + encodeURIComponent(value)).join("&");
  history.replaceState(null, "", text ? "#?" + text : location.pathname + location.search);
};
const keep = (key, value) => { if (value) state.set(key, value); else state.delete(key); save(); };
// Several values are joined with a bar, which encoding removes from the values.
const join = (values) => values.map(encodeURIComponent).join("|").replace(/\|+$/, "");
const decode = (text) => { try { return decodeURIComponent(text); } catch { return ""; } };
const split = (text) => text.split("|").map(decode);
// A link within the page would replace the choices in the address, so its target is added to them.
addEventListener("hashchange", () => {
  if (state.size && location.hash && !location.hash.startsWith("#?")) keep("at", location.hash.slice(1));
});

// Series: a check box for each, which hides it in every chart of its section.
for (const legend of all(".legend")) {
  const section = legend.closest("section"), boxes = all("input[type=checkbox]", legend);
  const show = () => {
    const off = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    for (const series of all("[data-s]", section)) series.classList.toggle("off", off.has(series.dataset.s));
    return [...off].join(",");
  };
  const changed = () => keep(section.id + ".off", show());
  legend.addEventListener("change", changed);
  legend.addEventListener("click", (event) => {
    const set = event.target.dataset.set;
    if (!set) return;
    for (const box of boxes) box.checked = set === "all";
    changed();
  });
  legend.restore = (value) => {
    const off = new Set(value.split(","));
    for (const box of boxes) box.checked = !off.has(box.value);
    show();
  };
}

// Axes: a button switches a chart to its linear twin. Without a script, the twin can be unfolded.
for (const twin of all(".axes")) {
  const chart = twin.previousElementSibling, linear = twin.querySelector(".chart");
  const button = page.createElement("button");
  const show = (isLinear) => {
    chart.hidden = isLinear; linear.hidden = !isLinear;
    button.textContent = isLinear ? "logarithmic axis" : "linear axis";
    button.setAttribute("aria-pressed", String(isLinear));
  };
  button.type = "button"; button.className = "axis";
  button.addEventListener("click", () => { show(linear.hidden); keep(twin.dataset.of, linear.hidden ? "" : "linear"); });
  chart.after(linear, button);
  twin.hidden = true;
  button.dataset.of = twin.dataset.of;
  button.restore = (value) => show(value === "linear");
  show(false);
}

// Filters of long tables: every word must be found in the row.
for (const filter of all(".filter")) {
  const table = page.getElementById(filter.dataset.of), key = filter.dataset.of;
  const rows = all("tbody tr", table), fields = all("[data-column]", filter), words = filter.querySelector("[type=search]");
  const count = filter.querySelector("output");
  let texts = null;
  const show = () => {
    texts ??= rows.map((row) => row.textContent.toLowerCase());
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = fields.filter((field) => field.value).map((field) => [Number(field.dataset.column), field.value]);
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = wanted.every((word) => texts[index].includes(word)) &&
        chosen.every(([column, value]) => row.cells[column].textContent === value);
      if (row.hidden === fits) row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown + " of " + rows.length + " rows";
  };
  const changed = () => {
    show();
    keep(key, join([words.value, ...fields.map((field) => field.value)]));
  };
  filter.addEventListener("input", changed);
  filter.addEventListener("reset", () => setTimeout(changed));
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.restore = (value) => {
    const values = split(value);
    [words, ...fields].forEach((field, index) => { field.value = values[index] ?? ""; });
    show();
  };
}

// Tables: a click on a heading sorts by its column, figures with the greatest first; a second click reverses it.
const units = { "%": 1, "×": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, ns: 1, "µs": 1e3, ms: 1e6, s: 1e9, min: 6e10, h: 3.6e12,
  B: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824 };
const figure = (text) => {
  const found = /^[*+]?([−-]?)([\d ]*\.?\d+) ?(.*)$/.exec(text);
  const unit = found?.[3].split(" ")[0];
  if (!found || (unit && !(unit in units))) return NaN;
  return Number(found[2].replaceAll(" ", "")) * (units[unit] ?? 1) * (found[1] ? -1 : 1);
};
for (const table of all("main table:not(.matrix table)")) {
  const heads = all("thead th", table), body = table.tBodies[0];
  if (body.rows.length < 3) continue;
  heads.forEach((head, column) => {
    const button = page.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const words = (row) => (row.cells[column].firstChild?.textContent ?? "").trim();
      const rows = [...body.rows].map((row) => ({ row, text: words(row), value: figure(words(row)) }));
      const figures = rows.some((one) => one.value === one.value);
      const was = head.getAttribute("aria-sort");
      const down = was ? was === "ascending" : figures;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      // Fields without a figure stay at the end in either order.
      const order = (a, b) => figures
        ? (a.value !== a.value) - (b.value !== b.value) || (down ? b.value - a.value : a.value - b.value)
        : (down ? b.text.localeCompare(a.text) : a.text.localeCompare(b.text));
      body.append(...rows.sort(order).map((one) => one.row));
    });
  });
}

// Tooltips: show a mark's title at the pointer, at once. The browser's own come late, and not on touch screens.
const tip = page.createElement("div");
tip.id = "tip"; tip.hidden = true; tip.setAttribute("aria-hidden", "true");
page.body.append(tip);
const titled = (target) => {
  const mark = target.closest?.("figure svg *");
  const title = mark && [...mark.children].find((child) => child.tagName === "title");
  return title ? title : mark?.dataset?.tip ? { textContent: mark.dataset.tip } : null;
};
const hint = (event) => {
  const title = titled(event.target);
  tip.hidden = !title;
  if (!title) return;
  tip.textContent = title.textContent;
  const room = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - room.width - 8);
  const below = event.clientY + 18, y = below + room.height > innerHeight ? event.clientY - room.height - 10 : below;
  tip.style.left = Math.max(8, x) + "px"; tip.style.top = Math.max(8, y) + "px";
};
page.addEventListener("pointermove", hint);
page.addEventListener("pointerdown", hint);
page.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
page.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

// Apply the choices in the address.
if (location.hash.startsWith("#?")) {
  for (const part of location.hash.slice(2).split("&")) {
    const [key, value = ""] = part.split("=").map(decode);
    if (key === "at") { state.set(key, value); page.getElementById(value)?.scrollIntoView(); continue; }
    const section = key.endsWith(".off") && page.getElementById(key.slice(0, -4));
    const control = section ? section.querySelector(".legend") : all(".filter, button.axis").find((one) => one.dataset.of === key);
    if (control?.restore && value) { state.set(key, value); control.restore(value); }
  }
}
})();
