// Drives the real pages in a headless Chromium and says on standard output what it saw.
//
// Usage: node pages.mjs fleet|empty|money LINK SCREENSHOTS PID
// `money` expects a fleet with prices, owners and budgets, and leads from the costs down to a row of the ledger.
// `fleet` expects pages full of a simulated fleet and ends by killing the server, to see what the pages say then.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";

const [mode, link, screenshots, pid] = process.argv.slice(2);
const WAIT_MS = 30_000;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
let expectsNetworkErrors = false;

function check(holds, text) {
  console.log(`${holds ? "ok  " : "FAIL"} ${mode}: ${text}`);
  if (!holds) faults.push(text);
}

async function browser() {
  const flags = ["--no-sandbox", "--disable-dev-shm-usage"];
  const places = (process.env.PATH ?? "").split(":");
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = places.flatMap((place) => names.map((name) => path.join(place, name))).find((file) => existsSync(file));
  if (found) return chromium.launch({ executablePath: found, args: flags });
  const { default: own } = await import("@sparticuz/chromium");
  const args = [...flags, "--single-process", "--no-zygote"];
  return chromium.launch({ executablePath: await own.executablePath(), args });
}

// Nothing is asked or awaited any more. A page's own frames start requests, so one look is not enough.
async function settled(page) {
  const isQuiet = () => document.querySelector("main, .login") && !document.querySelector(".working, [aria-busy=true]");
  for (let quiet = 0; quiet < 2; quiet += 1) {
    await page.waitForFunction(isQuiet, null, { timeout: WAIT_MS });
    await page.waitForTimeout(100);
  }
  // Charts fade in; a picture of the middle of it says nothing.
  await page.waitForTimeout(300);
}

async function look(page, name) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await settled(page);
    await page.screenshot({ path: path.join(screenshots, `${name}-${scheme}.png`) });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const shown = violations.map(({ id, nodes }) => `${id} (${nodes.length}, ${nodes[0].html.slice(0, 120)})`).join("; ");
    check(violations.length === 0, `${name} in ${scheme} is accessible${shown && ": " + shown}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

// A phone: nothing lies beside the screen.
async function lookNarrow(page, name) {
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width: 420, height });
  await settled(page);
  await page.screenshot({ path: path.join(screenshots, `${name}-narrow.png`) });
  const beside = await page.evaluate(() => {
    const wide = (element) => element.scrollWidth - element.clientWidth;
    return Math.max(wide(document.documentElement), wide(document.querySelector(".content")));
  });
  check(beside <= 0, `${name} fits a phone's width (${beside} px beside it)`);
  await page.setViewportSize({ width, height });
}

async function go(page, name) {
  await page.getByRole("link", { name, exact: true }).first().click({ timeout: WAIT_MS });
  await settled(page);
  const heading = await page.getByRole("heading", { name }).count();
  check(heading > 0, `${name} has its heading`);
}

// A document with faults is told line by line, and nothing is changed by asking.
async function prices(page) {
  await page.getByLabel("State a document of this kind").selectOption("policy");
  await page.getByLabel("Text of the document").fill('version = "a"\nidle = "nope"\n');
  expectsNetworkErrors = true;
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByRole("button", { name: "Line 2" }).waitFor({ timeout: WAIT_MS });
  expectsNetworkErrors = false;
  await look(page, `prices-faults-${mode}`);
  await page.getByLabel("Text of the document").fill('version = "a"\nidle = "even"\n');
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("Nothing was changed yet").waitFor({ timeout: WAIT_MS });
  check(true, "a text that is right is said to be");
}

// What fires is acknowledged and silenced, a rule shows its statement; an empty server has nothing to say and says so.
async function alerts(page) {
  await go(page, "Alerts");
  await look(page, `alerts-${mode}`);
  await lookNarrow(page, `alerts-${mode}`);
  if (mode === "empty") {
    const text = await mainText(page);
    check(/Nothing fires/.test(text) && /Nobody is told/.test(text), `empty Alerts say so: ${text.slice(0, 200)}`);
    return;
  }
  const rule = '[[rule]]\nname = "Broken"\nsql = "select \'n1\' as node"\nevery = "1s"\nseverity = "critical"\nsummary = "{node} is broken"\n';
  const kept = await page.evaluate(async (body) => (await fetch("/api/v1/alerts/texts/mine", { method: "PUT", body })).status, rule);
  check(kept === 200, `a rule is kept: ${kept}`);
  const first = page.locator(".finding", { hasText: "n1 is broken" }).first();
  for (let look = 0; look < 20 && (await first.count()) === 0; look += 1) {
    await page.waitForTimeout(500);
    await page.reload();
    await settled(page);
  }
  await first.getByRole("button", { name: /^Acknowledge/ }).click();
  await page.getByText("somebody works at it").first().waitFor({ timeout: WAIT_MS });
  await first.getByRole("button", { name: /^Silence/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill("a test of the pages");
  await dialog.getByRole("button", { name: "Silence it" }).click();
  await page.getByText("a test of the pages").waitFor({ timeout: WAIT_MS });
  check(true, "an alert is acknowledged and silenced");
  await page.getByRole("button", { name: "NodeSilent" }).click();
  await dialog.getByText("host_samples").waitFor({ timeout: WAIT_MS });
  await look(page, "alerts-rule");
  await page.keyboard.press("Escape");
  check((await dialog.count()) === 0, "Escape closes a statement");
}

// A failure opens to its events and jobs, the bill groups and filters, waste is by kind; an empty server says so.
async function incidents(page) {
  await go(page, "Incidents");
  await look(page, `incidents-${mode}`);
  await lookNarrow(page, `incidents-${mode}`);
  if (mode === "empty") {
    check(/Nothing failed/.test(await mainText(page)), "empty Incidents say so");
    await page.getByRole("button", { name: "Waste and findings" }).click();
    await settled(page);
    check(/Nothing is wasted/.test(await mainText(page)), "an empty list of waste says so");
    return;
  }
  const first = page.getByRole("region", { name: "Incidents" }).locator("button[aria-expanded]").first();
  if ((await first.count()) > 0) {
    await first.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: /^Log lines/ }).waitFor({ timeout: WAIT_MS });
    check(page.url().includes("incident="), "an opened incident is in the address");
    await look(page, `incident-${mode}`);
    await page.getByRole("group", { name: "Grouped by" }).getByRole("button", { name: "User" }).click();
    await settled(page);
    check(page.url().includes("bill=user"), "the bill is grouped");
  }
  await page.getByRole("button", { name: "Waste and findings" }).click();
  await settled(page);
  await look(page, `waste-${mode}`);
  await lookNarrow(page, `waste-${mode}`);
}

// Records are found by their words, one opens, the address has the search; an empty server says what fills the page.
async function logs(page) {
  await go(page, "Logs");
  await look(page, `logs-${mode}`);
  await lookNarrow(page, `logs-${mode}`);
  if (mode === "empty") {
    const text = await mainText(page);
    check(/No logs in this time range/.test(text) && /coulomb-collector run/.test(text), `empty Logs say so: ${text.slice(0, 200)}`);
    return;
  }
  const search = page.getByLabel(/^Search messages/);
  await search.fill('"out of device memory" -info');
  await search.press("Enter");
  await settled(page);
  const rows = page.locator("table.logs tbody tr");
  check((await rows.count()) === 1, `one record matches: ${await rows.count()}`);
  check(new URL(page.url()).searchParams.get("q") === '"out of device memory" -info', `the address has the search: ${page.url()}`);
  await page.getByRole("button", { name: "What is known of this record" }).first().click();
  await page.getByText("log.iostream").waitFor({ timeout: WAIT_MS });
  await look(page, "logs-record");
  await search.fill("nowhere");
  await search.press("Enter");
  await page.getByText("No record matches").waitFor({ timeout: WAIT_MS });
  check(true, "a search without a match says so");
}

// By the keyboard alone: a name is completed, the statement runs, its rows, chart, plan and fault are shown.
async function sql(page) {
  const field = page.getByLabel("SQL statement");
  await page.getByText("gpu_samples", { exact: true }).first().waitFor({ timeout: WAIT_MS });
  await field.fill("");
  await field.pressSequentially("select table_name, 1.5 as watts, null as nothing from information_schema.tables where table_name = 'jobs' or table_name like 'gpu_s%' -- gpu_sam");
  await page.keyboard.press("Tab");
  check((await field.inputValue()).endsWith("gpu_samples"), `Tab completes a name: ${await field.inputValue()}`);
  await page.keyboard.press("Control+Enter");
  await page.getByText("not reported").first().waitFor({ timeout: WAIT_MS });
  check(page.url().includes("q=select"), "the statement is in the address");
  for (const view of ["Chart", "Plan", "Table"]) {
    await page.getByRole("button", { name: view, exact: true }).click();
    await look(page, `sql-${view.toLowerCase()}-${mode}`);
  }
  expectsNetworkErrors = true;
  await field.fill("select 1\nfrm x y");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("alert").first().waitFor({ timeout: WAIT_MS });
  expectsNetworkErrors = false;
  check(/request/i.test(await page.getByRole("alert").first().innerText()), "a refused statement names its request");
  await look(page, `sql-refused-${mode}`);
}

// From what all of it cost down to one row of the ledger and back; each step is an address.
async function costsDown(page) {
  await go(page, "Costs");
  for (const title of ["What did each day cost?", "What did the money buy?", "Who spends?", "Where does the money go?"]) {
    check((await page.getByRole("heading", { name: title }).count()) === 1, `Costs answer: ${title}`);
  }
  check((await page.getByRole("heading", { name: /Will “.+” last/ }).count()) > 0, "a budget says whether it will last");
  await look(page, "costs-money");
  await lookNarrow(page, "costs-money");
  // A day, so that the day before is known, too.
  await page.getByRole("button", { name: "24h", exact: true }).click();
  await page.getByLabel("Columns of the table").selectOption("state");
  await page.getByRole("button", { name: "Range before" }).click();
  await settled(page);
  const table = page.getByRole("region", { name: "Costs by group" });
  check(/more|less|the same/.test(await table.innerText()), "a change is told in words");
  await look(page, "costs-pivot");
  const csv = await saved(page, () => page.getByRole("button", { name: "CSV", exact: true }).first().click());
  const lines = csv.trim().split("\n").map((line) => line.split(","));
  const [cost, before] = ["cost_micros", "before_micros"].map((name) => lines[0].indexOf(name));
  check(cost > 0 && before > 0, `the CSV has what is shown: ${lines[0]}`);
  const sum = (at) => lines.slice(1, -1).reduce((all, line) => all + BigInt(line[at] || 0), 0n);
  check(sum(cost) === BigInt(lines.at(-1)[cost]), "the rows of the CSV sum to the last one, to the micro");
  await page.getByLabel("Columns of the table").selectOption("");
  await page.getByRole("button", { name: "Nothing", exact: true }).click();
  await page.getByRole("button", { name: "30d", exact: true }).click();
  await settled(page);
  // The waterfall leads to who lost the money, by the keyboard.
  await page.locator("svg.drawing a[href*='stage=']").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /Who lost money/ }).waitFor({ timeout: WAIT_MS });
  await look(page, "costs-lost");
  await page.goBack();
  for (const by of ["user", "job", "gpu"]) {
    await settled(page);
    await table.locator("tbody tr a").first().click();
    await page.waitForURL((url) => url.searchParams.get("by") === by, { timeout: WAIT_MS });
  }
  await settled(page);
  await look(page, "costs-narrowed");
  await table.locator("tbody tr a").first().click();
  const rows = page.getByRole("region", { name: "Rows of the ledger" });
  await rows.waitFor({ timeout: WAIT_MS });
  await rows.locator("tbody tr a").first().click();
  const panel = page.getByRole("complementary", { name: "A row of the ledger" });
  await panel.waitFor({ timeout: WAIT_MS });
  const told = await panel.innerText();
  check(/Price version/.test(told) && /Policy version/.test(told) && /Computed from/.test(told), `a row has its lineage: ${told.slice(0, 300)}`);
  await look(page, "costs-row");
  const address = page.url();
  await page.reload();
  await panel.waitFor({ timeout: WAIT_MS });
  check(page.url() === address, "a row of the ledger has an address");
  await lookNarrow(page, "costs-row");
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached", timeout: WAIT_MS });
  await page.goBack();
  await panel.waitFor({ timeout: WAIT_MS });
  check(page.url() === address, "the way back leads to the row again");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "All costs" }).click();
  await settled(page);
  check(!page.url().includes("where="), "all costs are shown again");
}

// What a click saves, as a text.
async function saved(page, click) {
  const [file] = await Promise.all([page.waitForEvent("download", { timeout: WAIT_MS }), click()]);
  return readFileSync(await file.path(), "utf8");
}

// Table, CSV and PNG of a picture by the menu of its card: `head` begins the CSV.
async function picture(page, title, head) {
  const card = page.locator("section.card", { has: page.getByRole("heading", { name: title, exact: true }) });
  const choose = async (item) => {
    await card.getByRole("button", { name: "Table and files" }).click();
    await card.getByRole("button", { name: item }).click();
  };
  const csv = await saved(page, () => choose("Save as CSV"));
  check(csv.startsWith(head) && csv.trim().includes("\n"), `${title} has its rows as CSV: ${csv.slice(0, 80)}`);
  const [png] = await Promise.all([page.waitForEvent("download", { timeout: WAIT_MS }), choose("Save as PNG")]);
  const bytes = readFileSync(await png.path());
  check(bytes.subarray(1, 4).toString() === "PNG" && bytes.length > 2000, `${title} is a PNG (${bytes.length} bytes)`);
  writeFileSync(path.join(screenshots, `card-${title.replaceAll(/\W+/g, "-")}.png`), bytes);
  await choose("Show as a table");
  const columns = head.trim().split(",").length;
  check((await card.getByRole("columnheader").count()) >= columns, `${title} is a table`);
  return () => choose("Show the picture");
}

async function pictures(page) {
  await go(page, "Costs");
  await picture(page, "Who spends?", "team,project,cost_micros,share_ratio\n");
  await look(page, "costs-picture-as-table");
  await go(page, "Overview");
  await picture(page, "What are the GPUs doing?", "time,gpus_active,gpus_held_idle");
  await picture(page, "Who spends?", "team,cost_micros,share_ratio,gpu_hours\n");
  await picture(page, "Which nodes?", "cluster,rack,node,gpus_active");
  await look(page, "overview-pictures-as-tables");
  await go(page, "Fleet");
  const back = await picture(page, "What did each GPU do?", "cluster,node,gpu_index,gpu_uuid,gpu_model,active_ratio");
  await back();
  await page.locator(".heat-plot").waitFor({ timeout: WAIT_MS });
}

// Nothing is sent by itself until a schedule is stated; one is, in the page, and a document is made of it at once.
async function schedules(page) {
  await go(page, "Reports and close");
  const card = page.locator("section.card", { has: page.getByRole("heading", { name: /sent by themselves/ }) });
  check(/coulomb import schedules FILE/.test(await card.innerText()), "without schedules it says how to state one");
  await card.getByRole("link", { name: "Prices and policy" }).click();
  const text = page.getByLabel("Text of the document");
  await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("[[schedule]]"), null, { timeout: WAIT_MS });
  check(/cron/.test(await text.inputValue()), "an example to begin with is there");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("Nothing was changed yet").waitFor({ timeout: WAIT_MS });
  await page.getByRole("button", { name: /^State/ }).click();
  await page.getByRole("link", { name: "schedules", exact: true }).waitFor({ timeout: WAIT_MS });
  await go(page, "Reports and close");
  await card.getByText("monthly-finance").waitFor({ timeout: WAIT_MS });
  const told = await card.innerText();
  check(/none yet/.test(told) && /30 6 1 \* \*/.test(told), `a schedule has its next run and no result yet: ${told}`);
  check(/reports-dir/.test(told), "what keeps it from being delivered is told");
  await look(page, "reports-schedules");
  await lookNarrow(page, "reports-schedules");
}

// Jobs are filtered, sorted and paged by the server; one of them is opened, and none is said to be none.
async function jobs(page) {
  await go(page, "Jobs");
  const table = page.locator("main table");
  await table.waitFor({ timeout: WAIT_MS });
  await look(page, "jobs");
  await lookNarrow(page, "jobs");
  const order = () => page.locator("th[aria-sort=descending], th[aria-sort=ascending]").innerText();
  await page.getByRole("button", { name: "GPU-hours" }).click();
  await settled(page);
  check(/GPU-hours/.test(await order()) && page.url().includes("sort=-gpu_hours"), "jobs are sorted, and the address says so");
  const firstJob = async () => (await table.locator("tbody tr a").first().innerText()).split(" ")[0];
  const first = await firstJob();
  const further = page.getByRole("button", { name: "Further rows" });
  if (await further.isEnabled()) {
    await further.click();
    await settled(page);
    check((await firstJob()) !== first, "the next page has other jobs");
    await page.goBack();
    await settled(page);
    check((await firstJob()) === first, "the way back leads to the page before");
  }
  await page.getByLabel("Filter jobs").fill(first);
  await settled(page);
  check((await table.locator("tbody tr").count()) >= 1 && page.url().includes("filter="), "a filter finds the job");
  await page.getByLabel("Filter jobs").fill("no job is called this");
  await page.getByRole("heading", { name: "No job matches" }).waitFor({ timeout: WAIT_MS });
  await look(page, "jobs-none");
  await page.getByRole("button", { name: "Show all jobs" }).click();
  await settled(page);
  await page.getByRole("button", { name: "Timeline", exact: true }).click();
  await page.locator("svg.drawing").first().waitFor({ timeout: WAIT_MS });
  await look(page, "jobs-timeline");
  await lookNarrow(page, "jobs-timeline");
  await page.getByRole("button", { name: "List", exact: true }).click();
  await settled(page);
  await table.locator("tbody tr a").first().click();
  await page.getByRole("heading", { name: "What did its GPUs do?" }).waitFor({ timeout: WAIT_MS });
  check(new URL(page.url()).pathname === "/job", "a row leads to its job");
  const text = await mainText(page);
  await (await picture(page, "How busy was each GPU?", "node,gpu_index,gpu_uuid,gpu_model,gpu_busy_ratio_mean"))();
  await (await picture(page, "What did its GPUs do?", "time,gpu_busy_ratio"))();
  await settled(page);
  check(/Cost so far/.test(text) && /What was paid for/.test(text), "a job tells what it cost");
  await look(page, "job");
  await lookNarrow(page, "job");
  await page.goBack();
  await settled(page);
  check(new URL(page.url()).pathname === "/jobs", "and back to the list");
}

// A view is kept, found by the search and in the menu, and let go of; Escape in the search leaves a panel open.
async function views(page) {
  await go(page, "Fleet");
  await page.getByRole("button", { name: "Views and link" }).click();
  await page.getByLabel("Name of the view").fill("My fleet");
  await page.keyboard.press("Enter");
  check((await page.getByLabel("Link with absolute times").inputValue()).includes("from=20"), "a link to share has absolute times");
  await look(page, "views");
  await page.keyboard.press("Escape");
  await go(page, "Overview");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("my fleet");
  await page.getByRole("option", { name: /saved view/ }).waitFor({ timeout: WAIT_MS });
  await page.keyboard.press("Enter");
  await settled(page);
  check(new URL(page.url()).pathname === "/fleet", "the search leads to a saved view");
  await page.locator("main tbody tr").first().click();
  const panel = page.getByRole("complementary", { name: "Details" });
  await panel.waitFor({ timeout: WAIT_MS });
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor({ timeout: WAIT_MS });
  await page.keyboard.press("Escape");
  await page.getByRole("combobox").waitFor({ state: "detached", timeout: WAIT_MS });
  check(await panel.isVisible(), "Escape in the search leaves the panel open");
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached", timeout: WAIT_MS });
  await page.getByRole("button", { name: "Views and link" }).click();
  await page.getByRole("button", { name: "Forget My fleet" }).click();
  await page.getByText("No view is saved").waitFor({ timeout: WAIT_MS });
  check(true, "a view is let go of");
}

// The list, a dashboard with a picture of each kind, a link to it, and a text with a fault.
async function dashboards(page) {
  await look(page, `dashboards-${mode}`);
  await lookNarrow(page, `dashboards-${mode}`);
  const waiting = await page.getByRole("heading", { name: /Waiting for telemetry/ }).count();
  check(waiting === 1, "what has not arrived is said to be waited for");
  await page.getByRole("link", { name: /^Fleet What all GPUs do/ }).click();
  await settled(page);
  check(new URL(page.url()).pathname === "/dashboards/fleet", `a dashboard has an address: ${page.url()}`);
  if (mode === "empty") {
    await look(page, `dashboard-fleet-${mode}`);
    check(/nothing was reported/i.test(await mainText(page)), "an empty panel says so");
    return go(page, "Dashboards");
  }
  check((await page.locator(".uplot canvas").count()) >= 6, "the panels are drawn");
  check((await page.getByRole("alert").count()) === 0, "no panel is refused");
  await look(page, `dashboard-fleet-${mode}`);
  await lookNarrow(page, `dashboard-fleet-${mode}`);

  await page.getByLabel("Step", { exact: true }).selectOption("1800 seconds");
  await settled(page);
  check(page.url().includes("var-step=1800%20seconds"), `a variable is in the address: ${page.url()}`);
  const menu = page.getByRole("button", { name: "Menu: Temperature" });
  await menu.click();
  const picture = await page.getByRole("link", { name: /^SVG/ }).getAttribute("href");
  check(picture.includes(".svg?") && picture.includes("var-step=1800%20seconds"), `a picture is of what is seen: ${picture}`);
  await page.getByRole("button", { name: "Table", exact: true }).click();
  await page.getByRole("region", { name: "Rows: Temperature" }).waitFor({ timeout: WAIT_MS });
  check(true, "a panel's rows are a table");
  const chart = page.locator(".u-over").first();
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=20/, { timeout: WAIT_MS });
  check(true, "a brush is the range of the page");
  await settled(page);

  await page.getByRole("link", { name: "Edit", exact: true }).click();
  const field = page.getByLabel("Text of the dashboard");
  await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("[[panel]]"), null, { timeout: WAIT_MS });
  const text = await field.inputValue();
  await field.fill(text.replace("gpu_busy_ratio) as", "gpu_bussy_ratio) as").replace('kind = "step"', 'kind = "stop"'));
  expectsNetworkErrors = true;
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByRole("button", { name: /^Line \d+/ }).first().waitFor({ timeout: WAIT_MS });
  await field.fill(text.replace("gpu_busy_ratio) as", "gpu_bussy_ratio) as"));
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText(/gpu_bussy_ratio/).first().waitFor({ timeout: WAIT_MS });
  expectsNetworkErrors = false;
  await look(page, `dashboard-faults-${mode}`);
  await field.fill(text.replace('title = "Fleet"', 'title = "Our fleet"'));
  await page.getByRole("button", { name: "Save as your own" }).click();
  await page.getByRole("link", { name: "Show the dashboard" }).click();
  await settled(page);
  await page.getByText("Our fleet").first().waitFor({ timeout: WAIT_MS });
  await go(page, "Dashboards");
  check((await page.getByText("own, in place of the product's").count()) === 1, "an edited dashboard is one's own");
}

async function search(page) {
  await page.keyboard.press("Control+k");
  await page.keyboard.type("overview");
  await page.getByRole("option").first().waitFor({ timeout: WAIT_MS });
  await page.keyboard.press("Enter");
  await settled(page);
  check(new URL(page.url()).pathname === "/", "the search leads to a page");
  await go(page, "Fleet");
}

const mainText = (page) => page.locator("main").innerText({ timeout: WAIT_MS });

const running = await browser();
const page = await running.newPage({ viewport: { width: 1440, height: 900 } });
page.on("pageerror", (error) => check(false, `no exception in the page: ${error}`));
page.on("console", (message) => {
  if (message.type() === "error" && !expectsNetworkErrors) check(false, `no console error: ${message.text()}`);
});

try {
  await page.goto(link);
  await settled(page);
  check(!page.url().includes("code="), "the one-time code leaves the address");
  await go(page, "Overview");
  const overview = await mainText(page);
  await look(page, `overview-${mode}`);
  await lookNarrow(page, `overview-${mode}`);
  await go(page, "Costs");
  const costs = await mainText(page);
  await look(page, `costs-${mode}`);
  await lookNarrow(page, `costs-${mode}`);
  await go(page, "Fleet");
  const fleet = await mainText(page);
  await look(page, `fleet-${mode}`);
  await lookNarrow(page, `fleet-${mode}`);

  if (mode !== "money") await alerts(page);
  await incidents(page);
  if (mode !== "money") await logs(page);
  await go(page, "Reports and close");
  check((await page.locator("iframe[sandbox='']").count()) === 1, "a document is shown in a frame that runs nothing");
  await look(page, `reports-${mode}`);
  await lookNarrow(page, `reports-${mode}`);
  await go(page, "Prices and policy");
  await look(page, `prices-${mode}`);
  await lookNarrow(page, `prices-${mode}`);
  await prices(page);
  if (mode !== "money") {
    await go(page, "Dashboards");
    await dashboards(page);
  }
  await go(page, "SQL");
  await look(page, `sql-${mode}`);
  await sql(page);
  await lookNarrow(page, `sql-${mode}`);
  await search(page);

  if (mode === "empty") {
    const invites = /no (rows|data|samples|telemetry|gpus?|nodes?)|nothing|connect|collector/i;
    check(invites.test(overview), `an empty Overview says so: ${overview.slice(0, 200)}`);
    check(/coulomb import prices/.test(costs), `empty Costs say which command states prices: ${costs.slice(0, 200)}`);
    check(invites.test(fleet), `an empty Fleet says so: ${fleet.slice(0, 200)}`);
  } else if (mode === "money") {
    await costsDown(page);
    await pictures(page);
    await jobs(page);
    await schedules(page);
    await views(page);
  } else {
    check(/GPU/.test(overview) && /\d/.test(overview), `Overview has figures: ${overview.slice(0, 200)}`);
    check(/price/i.test(costs) && costs.length > 100, `Costs without prices say so: ${costs.slice(0, 200)}`);
    check((await page.locator("main canvas, main svg").count()) > 0, "Fleet draws its heat map");
    const address = page.url();
    await page.reload();
    await settled(page);
    check(page.url() === address, "the state of a page is its address");
    check((await mainText(page)).length > 100, "a reloaded page is full again");

    expectsNetworkErrors = true;
    process.kill(Number(pid), "SIGKILL");
    await page.getByRole("link", { name: "Overview", exact: true }).first().click();
    const alert = page.getByRole("alert").first();
    await alert.waitFor({ timeout: WAIT_MS }).catch(() => {});
    check((await alert.count()) > 0, "a page says that the server does not answer");
    await page.screenshot({ path: path.join(screenshots, "server-stopped.png") });
  }
} catch (error) {
  check(false, `the visit went through: ${error}`);
  await page.screenshot({ path: path.join(screenshots, `${mode}-failed.png`) }).catch(() => {});
}
await running.close();
console.log(`${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
