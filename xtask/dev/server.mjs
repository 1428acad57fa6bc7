// The local server: the built Worker on workerd, without `wrangler dev`, which would take every request through Node.
//
//   node server.mjs --root DIR --state DIR --port N
//
// Clients talk to workerd's own socket. This process only feeds workerd its configuration, applies the migrations, keeps
// the secrets, and does what Cloudflare's cron would do. It prints one line of JSON on stdout when requests are answered:
//   {"ready":{"port":8787,"workerd_pid":123,"operator_token":"…"}}
// and everything else on stderr. When workerd dies it exits with 70, so that whoever started it can start it again with
// the same state; when its stdin ends, whoever started it is gone, and it exits too. STRIPE_API_BASE, DNS_OVER_HTTPS_URL and MAIL_…
// in the environment take the place of those in wrangler.toml; SELGEO_LOOPBACK=0 keeps webhooks off this machine, as a
// deployment does.

import childProcess from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";

const SWEEP_EVERY_MS = 5_000;
const SWEEP_TIMEOUT_MS = 30_000;
const EXIT_PORT_IN_USE = 69;
const EXIT_WORKERD_DIED = 70;

const { values: args } = parseArgs({
  options: { root: { type: "string" }, state: { type: "string" }, port: { type: "string", default: "0" } },
});
const root = path.resolve(args.root);
const state = path.resolve(args.state);

// Miniflare starts workerd through this function. Hooked before it is loaded: its pid and its end are not told otherwise.
let workerd;
const spawn = childProcess.spawn;
childProcess.spawn = (command, ...rest) => {
  const child = spawn(command, ...rest);
  if (path.basename(String(command)).startsWith("workerd")) {
    workerd = child;
    child.once("exit", (code, signal) => ended(signal ?? code));
  }
  return child;
};

// Before the Worker, Miniflare imitates Cloudflare's compression, and worse: it takes the first coding that a browser names,
// unpacks what we send and compresses it anew. Cloudflare hands on what the browser takes; so that is what is tested here.
const TRANSCODES = "response = ensureAcceptableEncoding(clientAcceptEncoding, response), ";
const readFileSync = fs.readFileSync;
fs.readFileSync = (file, ...rest) => {
  const content = readFileSync(file, ...rest);
  if (!String(file).endsWith(path.join("miniflare", "dist", "src", "workers", "core", "entry.worker.js"))) return content;
  if (!content.includes(TRANSCODES)) throw new Error(`${file} is another than the one that was looked into`);
  return content.replace(TRANSCODES, "");
};

let serving = false;
let stopping = false;

function ended(how) {
  if (!serving || stopping) return;
  console.error(`workerd ended (${how}); what it had stored is in ${state}`);
  process.exit(EXIT_WORKERD_DIED);
}

function stop() {
  if (stopping) return;
  stopping = true;
  workerd?.kill("SIGKILL");
  process.exit(0);
}
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.stdin.on("end", stop).on("error", stop).resume();

const require = createRequire(import.meta.url);
const { unstable_getMiniflareWorkerOptions: workerOptions, unstable_splitSqlQuery: splitSql } = require("wrangler");
// Miniflare is wrangler's dependency, of exactly the version that wrangler's options are for.
const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = createRequire(require.resolve("wrangler"))("miniflare");

/** Random secrets, made at the first start: what is stored under them must be readable after a restart. */
function secrets() {
  const file = path.join(state, "secrets.json");
  if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, "utf8"));
  const key = () => randomBytes(32).toString("hex");
  const made = { CLICK_SECRETS: key(), ENCRYPTION_SECRETS: key(), HASH_SECRETS: key(), OPERATOR_TOKEN: key() };
  // Renamed into place: a start that is killed half-way must not leave half a file.
  const half = `${file}.${process.pid}`;
  fs.writeFileSync(half, JSON.stringify(made, null, 2), { mode: 0o600 });
  fs.renameSync(half, file);
  return made;
}

/** Where Stripe's API, DNS and a mail provider are asked, should they be servers on this machine. */
function elsewhere() {
  const names = ["STRIPE_API_BASE", "DNS_OVER_HTTPS_URL", "MAIL_HTTP_URL", "MAIL_HTTP_TOKEN", "MAIL_FROM"].filter((name) => process.env[name]);
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

/** Where this server's pages are, for letters that no request causes; unknown while the system is still to choose a port. */
function own() {
  return args.port === "0" ? {} : { PUBLIC_URL: `http://127.0.0.1:${args.port}` };
}

/**
 * The way to receivers of webhooks on this machine, of which the Worker would not know otherwise. It exists here only: a binding
 * to a network cannot be written in wrangler.toml.
 */
function loopback() {
  return process.env.SELGEO_LOOPBACK === "0" ? {} : { LOOPBACK: { network: { allow: ["local"] } } };
}

/** The built modules. Wrangler would bundle them; worker-build has already done so. */
function modules() {
  const dir = path.join(root, "build", "worker");
  const types = { ".js": "ESModule", ".wasm": "CompiledWasm" };
  const files = fs.readdirSync(dir).filter((name) => path.extname(name) in types);
  // The first one is the entry point.
  files.sort((a, b) => Number(b === "index.js") - Number(a === "index.js"));
  return files.map((name) => ({ type: types[path.extname(name)], path: path.join(dir, name) }));
}

/**
 * The static files as a Worker of their own, which the binding leads to. With them on the Worker itself, Miniflare puts two
 * more Workers before it, and every request takes twice as long; on Cloudflare nothing of that is there.
 */
function assetsWorker(assets) {
  return {
    name: "selgeo-assets",
    compatibilityDate: assets.assetConfig.compatibility_date,
    // Modules are named relative to it; the default is wherever this was started.
    modulesRoot: path.join(root, "build"),
    modules: [
      {
        type: "ESModule",
        path: path.join(root, "build", "assets.mjs"),
        contents: "export default { fetch: () => new Response(null, { status: 404 }) };",
      },
    ],
    // Files first here: our Worker has already seen the request.
    assets: { directory: path.resolve(root, assets.directory), assetConfig: assets.assetConfig, routerConfig: { has_user_worker: true } },
  };
}

/** Applies what is not applied yet, with wrangler's own bookkeeping: `wrangler d1 migrations` can take over at any time. */
async function migrate(db) {
  const dir = path.join(root, "worker", "migrations");
  await db
    .prepare(
      'CREATE TABLE IF NOT EXISTS "d1_migrations"(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, ' +
        "applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run();
  const { results } = await db.prepare('SELECT name FROM "d1_migrations"').all();
  const applied = new Set(results.map((row) => row.name));
  const files = fs.existsSync(dir) ? fs.readdirSync(dir).filter((name) => name.endsWith(".sql")) : [];
  for (const name of files.sort().filter((file) => !applied.has(file))) {
    const statements = splitSql(fs.readFileSync(path.join(dir, name), "utf8")).map((sql) => db.prepare(sql));
    // One batch: a migration and the note that it was applied are stored together or not at all.
    await db.batch([...statements, db.prepare('INSERT INTO "d1_migrations" (name) VALUES (?)').bind(name)]);
    console.error(`migrated: ${name}`);
  }
}

/** What Cloudflare does every minute. A sweep that fails is logged: the next one comes anyway. */
async function sweepForEver(port) {
  const url = `http://127.0.0.1:${port}/cdn-cgi/local/scheduled?cron=${encodeURIComponent("* * * * *")}`;
  for (;;) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(SWEEP_TIMEOUT_MS) });
      const body = await answer.text();
      if (!answer.ok) console.error(`the sweep answered ${answer.status}: ${body.slice(0, 500)}`);
    } catch (error) {
      if (!stopping) console.error(`the sweep failed: ${error.cause?.message ?? error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, SWEEP_EVERY_MS));
  }
}

async function main() {
  fs.mkdirSync(state, { recursive: true });
  const secret = secrets();
  const { workerOptions: fromConfig, externalWorkers } = workerOptions(path.join(root, "wrangler.toml"));
  // Rules choose modules for wrangler's bundler; here they are listed.
  delete fromConfig.modulesRules;
  // Whoever tries things out looks for a click at once.
  for (const consumer of Object.values(fromConfig.queueConsumers)) consumer.maxBatchTimeout = 1;
  const assets = fromConfig.assets;
  delete fromConfig.assets;
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: Number(args.port),
      log: new Log(LogLevel.WARN),
      logRequests: false,
      handleStructuredLogs: ({ message }) => console.error(message),
      // Where wrangler looks under `--persist-to DIR`, so that its d1 and kv commands see the same data.
      resourcePersistencePath: path.join(state, "v3"),
      // The scheduled handler gets a path of its own on the socket.
      unsafeTriggerHandlers: true,
      cf: false,
      telemetry: { enabled: false },
      workers: [
        {
          name: "selgeo",
          ...fromConfig,
          modules: modules(),
          modulesRoot: path.join(root, "build", "worker"),
          serviceBindings: { ...fromConfig.serviceBindings, ...loopback(), [assets.binding]: "selgeo-assets" },
          bindings: {
            ...fromConfig.bindings,
            ...secret,
            ...elsewhere(),
            ...own(),
            SELGEO_DEV: "1",
            MOUNTS: "/_s",
            OPERATOR_EMAILS: "owner@demo.example",
          },
        },
        assetsWorker(assets),
        ...externalWorkers,
      ],
    }),
  );
  const url = await miniflare.ready;
  await migrate(await miniflare.getD1Database("DB"));
  serving = true;
  const port = Number(url.port);
  const ready = { port, workerd_pid: workerd.pid, operator_token: secret.OPERATOR_TOKEN };
  console.log(JSON.stringify({ ready }));
  sweepForEver(port);
}

main().catch((error) => {
  stopping = true;
  workerd?.kill("SIGKILL");
  if (error.code === "ERR_ADDRESS_IN_USE") {
    console.error(`port ${args.port} is in use`);
    process.exit(EXIT_PORT_IN_USE);
  }
  console.error(error.stack ?? String(error));
  process.exit(1);
});
