// How quick the pages are to a person: bytes of a first visit, largest paint, each later page, frames of the heat map,
// points that a long chart asks for. Prints `NAME VALUE` lines.
//
// Usage: node speed.mjs LINK
import { existsSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const [link] = process.argv.slice(2);
const WAIT_MS = 120_000;
const names = ["chromium", "chromium-browser", "google-chrome"];
const places = (process.env.PATH ?? "").split(":").flatMap((place) => names.map((name) => path.join(place, name)));
const args = ["--no-sandbox", "--disable-dev-shm-usage"];
const running = await chromium.launch({ executablePath: places.find((file) => existsSync(file)), args });
const context = await running.newContext({ viewport: { width: 1440, height: 900 } });
const say = (name, value) => console.log(`${name} ${value}`);
const isSettled = () => document.querySelector("main h2, main .stat") && !document.querySelector(".working, [aria-busy=true]");

// The first visit logs in; what is measured is a visit with nothing kept, by somebody who is logged in.
const first = await context.newPage();
await first.goto(link);
await first.waitForFunction(isSettled, null, { timeout: WAIT_MS });
await first.close();

async function visit(address) {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0;
  let charts = 0;
  let ahead = 0;
  const urls = new Map();
  session.on("Network.responseReceived", ({ requestId, response }) => urls.set(requestId, response.url));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const { pathname } = new URL(urls.get(requestId) ?? "http://none/api/");
    if (pathname === "/vendor.js") charts += encodedDataLength;
    else if (/^\/[0-9a-f]{16}\/.*\.wasm$/.test(pathname)) ahead += encodedDataLength;
    else if (!pathname.startsWith("/api/")) bytes += encodedDataLength;
  });
  await page.goto(new URL(address, link).href);
  await page.waitForFunction(isSettled, null, { timeout: WAIT_MS });
  await page.waitForTimeout(500);
  const paint = await page.evaluate(
    () =>
      new Promise((resolve) => {
        new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime)).observe({
          type: "largest-contentful-paint",
          buffered: true,
        });
      }),
  );
  return { page, bytes, charts, ahead, paint };
}

const overview = await visit("/");
say("first_visit_bytes", overview.bytes);
say("charts_bytes", overview.charts);
// Pieces of other pages, fetched when nobody waits.
say("ahead_bytes", overview.ahead);
say("largest_paint_ms", Math.round(overview.paint));

const { page } = overview;
for (const name of await page.locator("nav[aria-label=Pages] a span").allInnerTexts()) {
  const began = Date.now();
  await page.getByRole("link", { name, exact: true }).first().click();
  await page.waitForFunction(isSettled, null, { timeout: WAIT_MS, polling: "raf" });
  say(`page_ms:${name.replaceAll(" ", "_")}`, Date.now() - began);
}

// Points of the longest answers of 90 days, which should be no more than the chart has pixels.
for (const address of ["/?from=now-90d", "/fleet?from=now-90d", "/costs?from=now-90d"]) {
  const answers = [];
  const long = await context.newPage();
  long.on("response", async (response) => {
    if (response.url().includes("/api/v1/") && response.ok()) answers.push(await response.text().catch(() => "{}"));
  });
  await long.goto(new URL(address, link).href);
  await long.waitForFunction(isSettled, null, { timeout: WAIT_MS });
  const deepest = (value) => {
    if (!Array.isArray(value)) return value && typeof value === "object" ? Math.max(0, ...Object.values(value).map(deepest)) : 0;
    const points = value.every((v) => v === null || typeof v === "number") ? value.length : 0;
    return Math.max(points, ...value.map(deepest), 0);
  };
  say(`points:${new URL(long.url()).pathname}`, Math.max(0, ...answers.map((text) => deepest(JSON.parse(text)))));
  await long.close();
}

// Frames while the heat map is pointed at, scrolled and brushed.
await page.goto(new URL("/fleet", link).href);
await page.waitForFunction(isSettled, null, { timeout: WAIT_MS });
await page.locator(".heat-plot").waitFor({ timeout: WAIT_MS });
const box = await page.locator(".heat-scroll").boundingBox();
await page.evaluate(() => {
  window.frames_seen = [];
  const frame = (at) => {
    window.frames_seen.push(at);
    window.frames_wanted !== false && requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
});
for (let turn = 0; turn < 120; turn += 1) {
  await page.mouse.move(box.x + 300 + (turn * 37) % 900, box.y + 20 + (turn * 23) % Math.min(600, box.height - 40));
  await page.mouse.wheel(0, turn % 40 < 20 ? 240 : -240);
}
const seen = await page.evaluate(() => ((window.frames_wanted = false), window.frames_seen));
const gaps = seen.slice(1).map((at, i) => at - seen[i]).sort((a, b) => a - b);
say("heat_gpus", await page.evaluate(() => document.querySelector(".heat-names")?.childElementCount ?? 0));
say("heat_frames_per_second", ((seen.length - 1) / ((seen.at(-1) - seen[0]) / 1000)).toFixed(1));
say("heat_frame_ms_99th", gaps[Math.floor(gaps.length * 0.99)].toFixed(1));
await running.close();
