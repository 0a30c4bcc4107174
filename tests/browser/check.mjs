// Opens pages of paceline in Chromium as their readers do, and says what is wrong, a line each.
//
//   node check.mjs FOLDER TOOLS
//
// FOLDER holds the pages, and gets a picture of each. TOOLS is where npm put playwright-core and axe-core.
import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, tools] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(tools, "node_modules", "x.js"));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");
const wrong = [], figures = {};
const say = (page, what) => wrong.push(`${page}: ${what}`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

/** A fresh window on the page `name`, without a network, whose every complaint is said. */
async function open(name, { width = 1440, scheme = "light", script = true, hash = "", bypass = false } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 900 }, colorScheme: scheme, javaScriptEnabled: script, offline: true, bypassCSP: bypass,
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) say(name, `console: ${message.text()}`);
  });
  page.on("pageerror", (error) => say(name, `error: ${error.message}`));
  page.on("dialog", (dialog) => { say(name, `a dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) say(name, `asks for ${request.url()}`);
  });
  await page.goto(pathToFileURL(join(folder, name + ".html")).href + hash);
  return page;
}
const close = (page) => page.context().close();

/** What overflows the window, and text that is there but has no size. */
const layout = () => {
  const over = document.documentElement.scrollWidth - innerWidth;
  const flat = [...document.querySelectorAll("figure svg.chart")].filter((svg) => {
    const box = svg.getBoundingClientRect();
    return svg.checkVisibility() && (box.width < 300 || box.height < 40);
  }).length;
  // A section that is drawn only when it is near is cut off at its edge.
  const left = (part) => part.getBoundingClientRect().left;
  const cut = [...document.querySelectorAll(".far figure")].filter((one) => left(one) < left(one.closest(".far"))).length;
  const outside = [...document.querySelectorAll("figure svg.chart text")].filter((text) => {
    const [box, chart] = [text, text.ownerSVGElement].map((part) => part.getBoundingClientRect());
    return box.width && (box.left < chart.left - 1 || box.right > chart.right + 1);
  }).length;
  // What did not regress is no alarm.
  const plain = getComputedStyle(document.body).color;
  const alarms = [...document.querySelectorAll("td.not")].filter((one) => getComputedStyle(one).color !== plain).length;
  return { over, flat, cut, outside, alarms, height: document.documentElement.scrollHeight };
};

async function looks(name) {
  for (const width of [360, 1440]) {
    for (const scheme of ["light", "dark"]) {
      const page = await open(name, { width, scheme });
      const { over, flat, cut, outside, alarms } = await page.evaluate(layout);
      // Hostile names are made of wide letters, and may lose the edge of one.
      if (outside && name !== "hostile") say(name, `${outside} texts leave their charts at ${width}`);
      if (alarms) say(name, `${alarms} verdicts "not regressed" have the colour of an alarm`);
      if (over > 0) say(name, `${over} px too wide at ${width}`);
      if (flat > 0) say(name, `${flat} charts without a size at ${width}`);
      if (cut > 0) say(name, `${cut} figures are cut off on the left at ${width}`);
      await page.screenshot({ path: join(folder, `${name}-${width}-${scheme}.png`) });
      await close(page);
    }
  }
}

async function accessible(name) {
  for (const [scheme, script] of [["light", true], ["dark", true], ["light", false]]) {
    // axe itself is a script, which the page's own policy would forbid, and needs one to run: without scripts the page is
    // as its script never touched it.
    const page = await open(name, { scheme, bypass: true });
    if (!script) await page.evaluate(() => document.documentElement.classList.remove("js"));
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
    await page.addStyleTag({ content: ".far{content-visibility:visible!important}" });
    await page.addScriptTag({ path: axe });
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const { id, help, nodes } of violations) {
      say(name, `axe (${scheme}, script ${script}) ${id}: ${help}; ${nodes.length} times, such as ${nodes[0].html.slice(0, 160)}`);
    }
    await close(page);
  }
}

async function withoutScript(name) {
  const page = await open(name, { script: false });
  const text = await page.locator("main").textContent();
  if (!text.includes("How to read this")) say(name, "text is missing without a script");
  if (await page.locator(".controls:visible").count()) say(name, "controls are shown that need a script");
  // Linear twins are folded then, and not behind a button.
  const shown = () => [...document.querySelectorAll("figure svg.chart")].filter((svg) =>
    !svg.closest("details:not([open])") && !svg.closest("[hidden]")).length;
  const charts = await page.evaluate(shown);
  await close(page);
  const other = await open(name);
  if (charts !== await other.evaluate(shown)) say(name, "other charts without a script");
  await close(other);
}

/** What a stranger sees without scrolling: the matrix, a chart and a sentence on each workload. */
async function firstScreen(name) {
  for (const script of [true, false]) {
    const page = await open(name, { script });
    for (const part of [".matrix table:visible", ".cards"]) {
      const box = await page.locator(part).first().boundingBox();
      if (!box || box.y + box.height > 900) say(name, `${part} ends at ${box?.y + box?.height} px (script ${script})`);
    }
    // Another figure, by the keyboard.
    const best = () => page.locator(".matrix .scroll:visible").innerText();
    const seen = new Set([await best()]);
    await page.locator(".matrix input").first().focus();
    for (let press = 0; press < 3; press++) {
      await page.keyboard.press("ArrowRight");
      if (await page.locator(".matrix .scroll:visible").count() !== 1) say(name, "not one table of the matrix is shown");
      seen.add(await best());
    }
    if (seen.size !== 4) say(name, `the matrix has ${seen.size} of four contents (script ${script})`);
    await close(page);
  }
}

/** A press on a head of a table sorts it, and back. */
async function sorts(name) {
  const page = await open(name);
  const table = page.locator(".filter ~ div table, .filter + div table").first();
  const column = 4, head = table.locator("thead th").nth(column);
  const figures = () => table.locator("tbody tr").evaluateAll((rows, column) => rows.map((row) => {
    const found = /^([\d.]+)([kM]?)/.exec(row.cells[column].firstChild?.textContent ?? "");
    return found ? found[1] * ({ k: 1e3, M: 1e6 }[found[2]] ?? 1) : null;
  }), column);
  const sorted = (all, sign) => {
    const known = all.filter((one) => one !== null);
    return known.length > 9 && all.slice(known.length).every((one) => one === null)
      && known.every((one, index) => !index || sign * (known[index - 1] - one) >= 0);
  };
  if (sorted(await figures(), 1)) say(name, "the table is sorted before it is asked to be");
  await head.getByRole("button").click();
  if (!sorted(await figures(), 1) || await head.getAttribute("aria-sort") !== "descending") say(name, "a head does not sort");
  await head.getByRole("button").click();
  if (!sorted(await figures(), -1)) say(name, "a second press does not sort the other way");
  await close(page);
}

async function prints(name) {
  const page = await open(name);
  await page.emulateMedia({ media: "print" });
  const hidden = await page.evaluate(() =>
    [...document.querySelectorAll("details:not(.axes) table")].filter((table) => !table.getBoundingClientRect().height).length);
  if (hidden) say(name, `${hidden} folded tables are missing on paper`);
  if (await page.locator("nav.top:visible").count()) say(name, "the navigation is printed");
  // A4 without its margins.
  await page.setViewportSize({ width: 720, height: 900 });
  const wide = await page.evaluate(() =>
    [...document.querySelectorAll("table")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1).length);
  if (wide) say(name, `${wide} tables are wider than the paper`);
  const pdf = await page.pdf();
  if (pdf.length < 20000) say(name, "the print is empty");
  await close(page);
}

async function controls(name) {
  const page = await open(name);
  const section = page.locator("section.charts").first(), id = await section.getAttribute("id");
  const box = section.locator(".legend input").first(), series = await box.getAttribute("value");
  const visible = (within) => page.locator(`${within} [data-s="${series}"]:visible`).count();
  const others = page.locator(`section.charts:not(#${id}) [data-s="${series}"]:visible`);
  const [before, elsewhere] = [await visible("#" + id), await others.count()];
  await box.uncheck();
  if (!before || await visible("#" + id)) say(name, "a box does not hide its series");
  if (elsewhere !== await others.count()) say(name, "a box hides series of another section");
  const button = section.locator("button.axis").first();
  const first = section.locator("figure").first();
  const shown = await first.locator("svg.chart:visible .grid").first().innerHTML();
  await button.click();
  const linear = await first.locator("svg.chart:visible .grid").first().innerHTML();
  if (shown === linear) say(name, "the button does not change the axis");
  const filter = page.locator(".filter").first(), of = await filter.getAttribute("data-of");
  const rows = () => page.locator(`#${of} tbody tr:visible`).count();
  const all = await rows();
  await filter.locator("[type=search]").fill("tokio 100|");
  if (await rows() !== 0) say(name, "a word that is nowhere finds rows");
  await filter.locator("[type=search]").fill("tokio");
  const some = await rows();
  if (!(some > 0 && some < all)) say(name, `the filter leaves ${some} of ${all}`);
  await filter.locator("select").last().selectOption({ index: 1 });
  const fewer = await rows();
  if (!(fewer > 0 && fewer <= some)) say(name, `the choice leaves ${fewer} of ${some}`);
  if (!(await filter.locator("output").innerText()).startsWith(`${fewer} of ${all}`)) say(name, "the count of rows is wrong");
  // The address holds all of it.
  const hash = new URL(page.url()).hash;
  const again = await open(name, { hash });
  if (await again.locator(`#${of} tbody tr:visible`).count() !== fewer) say(name, `the filter is lost by ${hash}`);
  if (await again.locator(`#${id} [data-s="${series}"]:visible`).count()) say(name, "the boxes are lost in the address");
  if (await again.locator(`#${id} figure`).first().locator("svg.chart:visible .grid").first().innerHTML() !== linear) {
    say(name, "the axis is lost in the address");
  }
  await close(again);
  // A link within the page takes nothing of it away.
  await page.locator("nav.top a").first().click();
  if (await rows() !== fewer) say(name, "a link resets the filter");
  await filter.locator("[type=reset]").click();
  for (let turn = 0; turn < 200 && await rows() !== all; turn++) await page.waitForTimeout(50);
  if (await rows() !== all) say(name, "reset does not bring rows back");
  await section.locator("[data-set=none]").click();
  if (await page.locator(`#${id} figure [data-s]:visible`).count()) say(name, "none leaves series");
  await section.locator("[data-set=all]").click();
  if (await visible("#" + id) !== before) say(name, "all does not bring series back");
  const mark = section.locator("svg.chart:visible .m").first();
  await mark.scrollIntoViewIfNeeded();
  // Scrolling is smooth, and hides the tooltip.
  await page.waitForTimeout(800);
  await mark.hover({ force: true });
  const tip = page.locator("#tip");
  if (!(await tip.isVisible()) || !(await tip.innerText()).includes(":")) say(name, "no tooltip at a mark");
  await page.keyboard.press("Escape");
  if (await tip.isVisible()) say(name, "Escape leaves the tooltip");
  await close(page);
  const fresh = await open(name);
  await fresh.keyboard.press("Tab");
  if (await fresh.evaluate(() => document.activeElement?.className) !== "skip") say(name, "Tab does not begin at the skip link");
  await close(fresh);
}

/** How fast it is: said, and never a reason to fail. */
async function speed(name) {
  const page = await open(name);
  figures.first_contentful_paint_ms = await page.evaluate(() => new Promise((done) => {
    new PerformanceObserver((list) => done(list.getEntriesByName("first-contentful-paint")[0]?.startTime))
      .observe({ type: "paint", buffered: true });
    setTimeout(() => done(performance.getEntriesByName("first-contentful-paint")[0]?.startTime), 3000);
  }));
  figures.filter_ms = await page.evaluate(async () => {
    const field = document.querySelector(".filter [type=search]");
    const times = [];
    for (const text of ["tokio", "tokio 1 000", "", "sleep", "smol ok"]) {
      const start = performance.now();
      field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - start);
    }
    return Math.max(...times);
  });
  figures.cells = await page.locator(".filter").first().evaluate((form) =>
    document.getElementById(form.dataset.of).querySelectorAll("tbody tr").length);
  await close(page);
}

const names = readdirSync(folder).filter((file) => file.endsWith(".html")).map((file) => file.slice(0, -5)).sort();
for (const name of names) {
  const checks = name === "large" ? [speed] : [looks, accessible, withoutScript, prints];
  const own = { run: [controls], bench: [firstScreen, sorts] }[name] ?? [];
  for (const check of [...checks, ...own]) {
    try {
      await check(name);
    } catch (error) {
      say(name, `${check.name} came to no end: ${error.message.split("\n")[0]}`);
    }
  }
}
await browser.close();
console.log(JSON.stringify(figures));
for (const line of wrong) console.log("wrong: " + line);
process.exit(wrong.length ? 1 : 0);
