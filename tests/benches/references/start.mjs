// A Worker that ours is measured against, on the same workerd with the same options as the local server (xtask/dev).
//
//   node start.mjs --root DIR --state DIR --worker empty-js|empty-rust|plain-js
//
// It prints one line of JSON on stdout when requests are answered: {"ready":{"port":8787,"workerd_pid":123}}

import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { giveUp, launch, modules, splitSql, workerOptions } from "../../../xtask/dev/workerd.mjs";

const { values: args } = parseArgs({
  options: { root: { type: "string" }, state: { type: "string" }, worker: { type: "string" } },
});
const here = import.meta.dirname;
const root = path.resolve(args.root);
const state = path.resolve(args.state);

const module = (name) => ({ modules: [{ type: "ESModule", path: path.join(here, name) }], modulesRoot: here });
const rust = path.join(root, "build", "bench", "empty-rust");
const WORKERS = {
  "empty-js": () => module("empty.mjs"),
  "empty-rust": () => ({ modules: modules(rust), modulesRoot: rust }),
  "plain-js": () => ({
    ...module("plain.mjs"),
    d1Databases: ["DB"],
    durableObjects: { RATE_LIMITER: { className: "RateLimiter", useSQLite: true } },
  }),
};

async function main() {
  fs.mkdirSync(state, { recursive: true });
  const { compatibilityDate, compatibilityFlags } = workerOptions(path.join(root, "wrangler.toml")).workerOptions;
  const worker = { name: args.worker, compatibilityDate, compatibilityFlags, ...WORKERS[args.worker]() };
  const { miniflare, port, pid } = await launch({ port: 0, state, workers: [worker] });
  if (worker.d1Databases) {
    const db = await miniflare.getD1Database("DB");
    await db.batch(splitSql(fs.readFileSync(path.join(here, "plain.sql"), "utf8")).map((sql) => db.prepare(sql)));
  }
  console.log(JSON.stringify({ ready: { port, workerd_pid: pid } }));
}

main().catch((error) => giveUp(error, 0));
