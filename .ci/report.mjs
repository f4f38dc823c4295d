// The page of `stayfound-sim report` in headless Chromium:
// node .ci/report.mjs RUN.html FAILED.html MANY.html SCREENSHOTS WHERE_PLAYWRIGHT_IS
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [run, failed, many, out, modules] = process.argv.slice(2).map((it) => resolve(it));
const { chromium } = createRequire(`${modules}/`)("playwright-core");
mkdirSync(out, { recursive: true });
const SCREENS = [["desktop", 1280, 900], ["phone", 390, 844]];
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// A page whose errors are ours, and which asks nobody for anything.
async function open(file, width, height, options = {}) {
  const page = await browser.newPage({ viewport: { width, height }, ...options });
  const wrong = [];
  page.on("console", (it) => { if (["error", "warning"].includes(it.type())) wrong.push(it.text()); });
  page.on("pageerror", (it) => wrong.push(String(it)));
  page.on("request", (it) => { if (!/^(file|data):/.test(it.url())) wrong.push(`asks for ${it.url()}`); });
  await page.goto(pathToFileURL(file).href);
  return { page, wrong };
}

const seek = (page, time) => page.locator("#time").evaluate((slider, time) => {
  slider.value = time;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}, time);
const time = async (page) => Number(await page.locator("#time").inputValue());
const fits = async (page, name) => {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} pixels wider than the screen`);
};
// Whatever is to be used has a name, and text can be told from what is behind it.
async function accessible(page) {
  const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, select, svg[role=img], [role=region]")]
    .filter((it) => !it.ariaLabel && !it.closest("label") && !it.textContent.trim()).map((it) => it.outerHTML.slice(0, 90)));
  assert.deepEqual(nameless, []);
  const poor = await page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour, under) => {
      canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
      canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (colour) => {
      const [r, g, b] = colour.map((it) => it / 255).map((it) => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (it) => {
      for (let at = it; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (rgb(colour, "#000").join() === rgb(colour, "#fff").join()) return colour;
      }
      return "#fff";
    };
    const words = [...document.querySelectorAll("p, th, td, span, code, h1, h2, h3, li, b, text, button, output, time")];
    return words.filter((it) => it.textContent.trim() && it.getClientRects().length).map((it) => {
      const style = getComputedStyle(it), under = behind(it);
      const said = it.namespaceURI.endsWith("svg") ? style.fill : style.color;
      const two = [light(rgb(said, under)), light(rgb(under, "#fff"))].sort((a, b) => b - a);
      return [(two[0] + 0.05) / (two[1] + 0.05), it.outerHTML.slice(0, 90), said, under];
    }).filter((it) => it[0] < 4.5).map((it) => it.join(" "));
  });
  assert.deepEqual(poor, []);
}

for (const colorScheme of ["light", "dark"]) {
  for (const [name, width, height] of SCREENS) {
    const { page, wrong } = await open(run, width, height, { colorScheme });
    assert.match(await page.locator("#verdict").innerText(), /^(ok|safety|liveness|panic)/);
    const recording = JSON.parse(await page.locator("#recording").textContent());

    // A link that dies is red, and later it is green.
    const heals = recording.links.findLast(([a, b, state, , to]) => state === "dead" && recording.links.some(
      (it) => it[0] === a && it[1] === b && it[2] === "working" && it[3] === to));
    assert.ok(heals, "the run has a link that dies and heals");
    const [a, b, , from, to] = heals;
    const link = page.locator(`#link-${a}-${b}`), cell = page.locator(`#cell-${a}-${b}`);
    await seek(page, (from + to) / 2);
    assert.equal(await link.getAttribute("class"), "link dead");
    assert.equal(await cell.getAttribute("class"), "dead");
    const red = await link.evaluate((it) => getComputedStyle(it).stroke);
    await page.screenshot({ path: `${out}/run-${name}-${colorScheme}.png`, fullPage: true });
    await seek(page, to + 1e-4);
    assert.equal(await link.getAttribute("class"), "link working");
    assert.equal(await cell.getAttribute("class"), "working");
    assert.notEqual(await link.evaluate((it) => getComputedStyle(it).stroke), red);

    // Time passes while it plays, and stands still while it does not; marks move.
    const busy = recording.marks[Math.floor(recording.marks.length / 2)][0];
    await seek(page, busy);
    await page.locator("#speed").selectOption("1");
    assert.ok(await page.locator("#ring circle[visibility=visible]").count() > 0, "no marks");
    await page.locator("h1").click();
    await page.keyboard.press("Space");
    await page.waitForFunction((busy) => Number(document.getElementById("time").value) > busy + 0.2, busy);
    assert.equal(await page.locator("#play").getAttribute("aria-label"), "Pause");
    await page.keyboard.press("Space");
    assert.equal(await page.locator("#play").getAttribute("aria-label"), "Play");
    const stopped = await time(page);
    await page.keyboard.press("ArrowRight");
    assert.ok(Math.abs(await time(page) - Math.min(stopped + 1, recording.until)) < 1e-6, "→ is a second");
    await page.keyboard.press("ArrowLeft");
    assert.ok(Math.abs(await time(page) - stopped) < 1e-6, "← is a second back");

    // Nothing covers an operator.
    const top = await page.evaluate(() => [...document.querySelectorAll("#ring .host")].findIndex((it) => !it.classList.contains("other")));
    assert.equal(top, recording.ids.length - recording.operators);

    // A click on a fault goes there.
    const fault = recording.faults.at(-1);
    await page.locator("#faults li:not(.finding) button").last().click();
    assert.equal(await time(page), fault[0]);
    await seek(page, recording.until);
    assert.ok((await page.locator("#clock").innerText()).length > 3);
    await accessible(page);
    await fits(page, name);
    assert.deepEqual(wrong, []);
    await page.close();
  }
}

// Whoever asks for less motion sees no marks move.
{
  const { page, wrong } = await open(run, 1280, 900, { reducedMotion: "reduce" });
  const recording = JSON.parse(await page.locator("#recording").textContent());
  await seek(page, recording.marks[0][0]);
  assert.equal(await page.locator("#ring circle[visibility=visible]").count(), 0);
  assert.deepEqual(wrong, []);
  await page.close();
}

// A run that did not hold says so, and begins where that was found.
{
  const { page, wrong } = await open(failed, 1280, 900);
  assert.match(await page.locator("#verdict").innerText(), /^liveness at [\d.]+ s: .+/);
  assert.ok(await page.locator("#verdict.bad").count());
  const found = JSON.parse(await page.locator("#recording").textContent()).found;
  assert.ok(Math.abs(await time(page) - found) < 1e-3, "it begins elsewhere");
  await seek(page, 0);
  await page.locator("#faults .finding button").click();
  assert.ok(Math.abs(await time(page) - found) < 1e-3, "a click on what was found goes elsewhere");
  await page.screenshot({ path: `${out}/failed-desktop.png`, fullPage: true });
  assert.deepEqual(wrong, []);
  await page.close();
}

// Many runs: no playback, but plots and intervals.
for (const [name, width, height] of SCREENS) {
  const { page, wrong } = await open(many, width, height);
  assert.equal(await page.locator("#player").count(), 0);
  assert.equal(await page.locator("svg.plot").count(), 9);
  assert.ok(await page.locator("[aria-label='By kind of fault'] tbody tr").count() > 5);
  assert.ok(await page.locator("svg.plot path.band").count() >= 3);
  assert.match(await page.locator("#verdict").innerText(), /^\d+ of \d+ runs/);
  assert.doesNotMatch(await page.locator("main").innerText(), /NaN|undefined|Infinity/);
  await page.screenshot({ path: `${out}/many-${name}.png`, fullPage: true });
  await accessible(page);
  await fits(page, name);
  assert.deepEqual(wrong, []);
  await page.close();
}
// On paper it is light, whatever the screen is, and has no buttons.
{
  const { page, wrong } = await open(run, 700, 1000, { colorScheme: "dark" });
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  assert.ok(await page.locator("#play").isHidden());
  await page.screenshot({ path: `${out}/run-print.png`, fullPage: true });
  await accessible(page);
  await fits(page, "print");
  assert.deepEqual(wrong, []);
  await page.close();
}
await browser.close();
console.log(`the page holds; screenshots are in ${out}`);
