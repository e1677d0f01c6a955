// A user's day against a server with a month of a fleet, and what the pages do when they may not, must wait or hear
// nothing. Every page in both themes, on a desk and on a phone, without a violation that axe knows.
//
// Usage: node day.mjs LINK VIEWER_TOKEN SCREENSHOTS
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";

const [link, viewerToken, screenshots] = process.argv.slice(2);
const WAIT_MS = 60_000;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const base = new URL(link).origin;
const faults = [];
let expectsNetworkErrors = false;

function check(holds, text) {
  console.log(`${holds ? "ok  " : "FAIL"} day: ${text}`);
  if (!holds) faults.push(text);
}

async function browser() {
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const places = (process.env.PATH ?? "").split(":").flatMap((place) => names.map((name) => path.join(place, name)));
  const found = places.find((file) => existsSync(file));
  if (found) return chromium.launch({ executablePath: found, args });
  const { default: own } = await import("@sparticuz/chromium");
  return chromium.launch({ executablePath: await own.executablePath(), args: [...args, "--single-process", "--no-zygote"] });
}

// Nothing is asked or awaited any more. A page's own frames start requests, so one look is not enough.
async function settled(page) {
  const isQuiet = () => document.querySelector("main, .login") && !document.querySelector(".working, [aria-busy=true]");
  for (let quiet = 0; quiet < 2; quiet += 1) {
    await page.waitForFunction(isQuiet, null, { timeout: WAIT_MS });
    await page.waitForTimeout(100);
  }
}

function watch(page) {
  page.on("pageerror", (error) => check(false, `no exception in the page: ${error}`));
  page.on("console", (message) => {
    const bad = ["error", "warning"].includes(message.type());
    if (bad && !expectsNetworkErrors) check(false, `the console is silent: ${message.text()}`);
  });
}

const running = await browser();
const context = await running.newContext({ viewport: { width: 1440, height: 1000 }, acceptDownloads: true });
const page = await context.newPage();
watch(page);
const main = () => page.locator("main").innerText({ timeout: WAIT_MS });
const card = (title) => page.locator("section.card", { has: page.getByRole("heading", { name: title, exact: true }) });

// Is anything broken now? The overview says what, and leads to the device.
async function broken() {
  await page.getByRole("link", { name: "Overview", exact: true }).first().click();
  await settled(page);
  const findings = card("What needs attention?").locator("a.finding");
  check((await findings.count()) > 0, "the overview lists what is broken");
  const told = await findings.first().innerText();
  await findings.first().click();
  const panel = page.locator(".panel");
  await panel.waitFor({ timeout: WAIT_MS });
  await settled(page);
  check(/GPU|node/i.test(await panel.innerText()), `a finding leads to its device: ${told.slice(0, 60)}`);
  await page.goBack();
  await settled(page);
  check((await page.locator(".panel").count()) === 0, "the way back closes the panel");
}

// Why was last night's job slow? By the keyboard alone: search, filter, the job, its advice.
async function slowJob() {
  await page.keyboard.press("Control+k");
  await page.keyboard.type("jobs");
  await page.getByRole("option").first().waitFor({ timeout: WAIT_MS });
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Which jobs waited and ran?" }).waitFor({ timeout: WAIT_MS });
  await settled(page);
  await page.getByRole("button", { name: "Active, %" }).focus();
  await page.keyboard.press("Enter");
  await settled(page);
  await page.keyboard.press("Enter");
  await settled(page);
  check(/sort=-?active/.test(page.url()), `the order is in the address: ${page.url()}`);
  const user = await page.locator("tbody tr td:nth-child(3)").first().innerText();
  await page.getByLabel("Filter jobs").focus();
  await page.keyboard.type(user);
  await page.waitForFunction((name) => location.search.includes(`filter=${encodeURIComponent(name)}`), user);
  await settled(page);
  const users = await page.locator("tbody tr td:nth-child(3)").allInnerTexts();
  check(users.length > 0 && users.every((name) => name === user), `the filter keeps to ${user}: ${[...new Set(users)]}`);
  await page.locator("tbody tr a").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "What could be better?" }).waitFor({ timeout: WAIT_MS });
  await settled(page);
  check(/Nothing:|\d/.test(await card("What could be better?").innerText()), "a job has advice, or is told to need none");
  check((await card("What did its GPUs do?").locator("canvas").count()) > 0, "a job's telemetry is drawn");
}

// Who wasted most last week, and what did it cost?
async function waste() {
  await page.goto(`${base}/costs?from=now-7d&by=team`);
  await settled(page);
  const text = await main();
  check(/Held by no job/.test(text), "costs say what nobody used");
  check(/\d/.test(await page.locator(".stat").first().innerText()), "costs have a sum");
}

// Send the chargeback of the last month, then close it, and open it again.
async function chargeback() {
  await page.getByRole("link", { name: "Reports and close", exact: true }).first().click();
  await settled(page);
  const months = page.getByLabel("Time of the document");
  const before = (await months.locator("option").evaluateAll((all) => all.map((o) => o.value))).filter((v) => v !== "range");
  await months.selectOption(before.at(-1));
  await settled(page);
  const [download] = await Promise.all([
    page.waitForEvent("download", { timeout: WAIT_MS }),
    page.getByRole("link", { name: "PDF" }).click(),
  ]);
  const bytes = readFileSync(await download.path());
  check(bytes.subarray(0, 5).toString() === "%PDF-" && bytes.length > 10_000, `a PDF comes down: ${bytes.length} bytes`);
  const close = page.getByRole("button", { name: /^Close/ }).first();
  if ((await close.count()) > 0 && before.length > 1) {
    await close.click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor({ timeout: WAIT_MS });
    const tick = dialog.getByRole("checkbox");
    if ((await tick.count()) > 0) await tick.check();
    await dialog.getByRole("button", { name: /^Close [A-Z]/ }).click();
    await page.getByRole("button", { name: /^Open/ }).first().waitFor({ timeout: WAIT_MS });
    check(true, "a month closes");
    await page.getByRole("button", { name: /^Open/ }).first().click();
    await dialog.waitFor({ timeout: WAIT_MS });
    await dialog.getByRole("textbox").fill("a late price");
    await dialog.getByRole("button", { name: /^Open .* again/ }).click();
    await page.getByText(/is open again/).waitFor({ timeout: WAIT_MS });
    check(true, "a closed month opens again, with a reason");
  } else {
    check(false, `a month of before can be closed: ${before}`);
  }
}

async function slow() {
  await page.route("**/api/v1/overview**", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await route.continue();
  });
  await page.goto(`${base}/`);
  await page.locator("[aria-busy=true]").first().waitFor({ timeout: WAIT_MS });
  check((await page.getByRole("navigation").count()) > 0, "a slow answer leaves the frame usable");
  await page.screenshot({ path: path.join(screenshots, "slow.png") });
  await settled(page);
  check((await card("What needs attention?").count()) === 1, "a slow answer comes");
  await page.unroute("**/api/v1/overview**");
}

async function offline() {
  expectsNetworkErrors = true;
  await context.setOffline(true);
  await page.getByRole("link", { name: "Fleet", exact: true }).first().click();
  await page.getByRole("alert").first().waitFor({ timeout: WAIT_MS });
  await page.screenshot({ path: path.join(screenshots, "offline.png") });
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.locator(".heat-plot").waitFor({ timeout: WAIT_MS });
  expectsNetworkErrors = false;
  check(true, "a page says that nothing answers, and goes on when it does");
}

async function forbidden() {
  const other = await running.newContext({ viewport: { width: 1440, height: 1000 } });
  const answer = await other.request.post(`${base}/api/v1/session`, { data: { token: viewerToken }, headers: { origin: base } });
  check(answer.ok(), "a viewer logs in");
  const theirs = await other.newPage();
  watch(theirs);
  await theirs.goto(`${base}/settings`);
  await theirs.getByText("Your role is viewer").waitFor({ timeout: WAIT_MS });
  await theirs.screenshot({ path: path.join(screenshots, "forbidden.png") });
  await theirs.goto(`${base}/reports`);
  await settled(theirs);
  check((await theirs.getByRole("button", { name: /^Close/ }).count()) === 0, "a viewer is not offered to close a month");
  await other.close();
}

async function everyPage() {
  const places = ["/", "/fleet", "/jobs", "/alerts", "/incidents", "/incidents?view=waste", "/costs", "/reports", "/prices", "/prices?view=compare", "/sql", "/settings"];
  const job = await page.evaluate(async () => {
    const { jobs } = await (await fetch("/api/v1/jobs?from=now-7d&to=now&limit=1&sort=-gpu_hours")).json();
    return `/job?of=${encodeURIComponent(jobs[0].cluster)}&job=${encodeURIComponent(jobs[0].job_id)}`;
  });
  for (const place of [...places, job]) {
    for (const [width, height] of [[1440, 1000], [390, 844]]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.goto(base + place);
        await settled(page);
        // Charts fade in; a picture of the middle of it says nothing.
        await page.waitForTimeout(400);
        const name = `${place.split("?")[0].slice(1) || "overview"}${place.includes("view=") ? "-compare" : ""}`;
        await page.screenshot({ path: path.join(screenshots, `day-${name}-${width}-${colorScheme}.png`) });
        const wide = await page.evaluate(() => {
          const beside = (element) => element.scrollWidth - element.clientWidth;
          return Math.max(beside(document.documentElement), beside(document.querySelector(".content")));
        });
        check(wide <= 0, `${name} fits ${width} px (${wide} px beside it)`);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        const shown = violations.map(({ id, nodes }) => `${id} (${nodes.length}, ${nodes[0].html.slice(0, 120)})`).join("; ");
        check(violations.length === 0, `axe finds nothing on ${name}, ${width} px, ${colorScheme}${shown && ": " + shown}`);
      }
    }
  }
}

try {
  await page.goto(link);
  await settled(page);
  for (const part of [broken, slowJob, waste, chargeback, slow, offline, forbidden, everyPage]) await part();
} catch (error) {
  check(false, `the day went through: ${error}`);
  await page.screenshot({ path: path.join(screenshots, "day-failed.png") }).catch(() => {});
}
await running.close();
console.log(`${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
