// Does the bench's job with puppeteer-cluster or Playwright; see peers.go.
import { createInterface } from "node:readline";

const [tool, k, n, url, executablePath, flags, extract] = process.argv.slice(2);
const [at, jobs, args] = [Number(k), Number(n), JSON.parse(flags)];

function check(rows, picture) {
  if (rows.length !== 30 || rows[3].price !== "21.50" || picture.length < 1000) throw new Error("the job is wrong");
}

const tools = {
  async "cluster-context"() { return cluster("CONCURRENCY_CONTEXT"); },
  async "cluster-page"() { return cluster("CONCURRENCY_PAGE"); },
  async "playwright-context"() {
    const browser = await playwright();
    return [async (count) => spread(count, async () => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      await job(await context.newPage());
      await context.close();
    }), () => browser.close()];
  },
  async "playwright-page"() {
    const browser = await playwright();
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    return [async (count) => { for (let i = 0; i < count; i++) await job(page); }, () => browser.close()];
  },
};

async function playwright() {
  const { chromium } = await import("playwright-core");
  return chromium.launch({ executablePath, args });
}

async function job(page) {
  await page.goto(url, { waitUntil: "load" });
  check(await page.evaluate(extract), await page.screenshot({ type: "jpeg", quality: 70 }));
}

async function cluster(concurrency) {
  const { Cluster } = await import("puppeteer-cluster");
  const puppeteer = (await import("puppeteer-core")).default;
  const c = await Cluster.launch({ concurrency: Cluster[concurrency], maxConcurrency: at, puppeteer,
    puppeteerOptions: { executablePath, args, headless: "shell", defaultViewport: { width: 1280, height: 800 } } });
  c.on("taskerror", (err) => { throw err; });
  await c.task(async ({ page }) => {
    await page.goto(url, { waitUntil: "load" });
    check(await page.evaluate(extract), await page.screenshot({ type: "jpeg", quality: 70, optimizeForSpeed: true }));
  });
  return [async (count) => { for (let i = 0; i < count; i++) c.queue({}); await c.idle(); }, () => c.close()];
}

async function spread(count, one) {
  let left = count;
  await Promise.all(Array.from({ length: at }, async () => { while (left-- > 0) await one(); }));
}

const [work, close] = await tools[tool]();
await work(at);
console.log("warm");
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== "go") break;
  const cpu = process.cpuUsage(), wall = performance.now();
  await work(jobs);
  const took = process.cpuUsage(cpu);
  console.log(JSON.stringify({ Wall: performance.now() - wall, CPU: (took.user + took.system) / 1000 }));
}
await close();
process.exit(0);
