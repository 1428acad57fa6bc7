// The local server: the built Worker on workerd, without `wrangler dev`, which would take every request through Node.
//
//   node server.mjs --root DIR --state DIR --port N
//
// Clients talk to workerd's own socket (workerd.mjs). This process applies the migrations, keeps the secrets, and does what
// Cloudflare's cron would do. It prints one line of JSON on stdout when requests are answered:
//   {"ready":{"port":8787,"workerd_pid":123,"operator_token":"…"}}
// and everything else on stderr. When workerd dies it exits with 70, so that whoever started it can start it again with
// the same state; when its stdin ends, whoever started it is gone, and it exits too. STRIPE_API_BASE, DNS_OVER_HTTPS_URL and MAIL_…
// in the environment take the place of those in wrangler.toml; SELGEO_LOOPBACK=0 keeps webhooks off this machine, as a
// deployment does. For measuring: SELGEO_CONSUMERS=0 leaves out the queue's consumer and the sweep, which on Cloudflare run
// elsewhere; `--modules DIR` starts another Worker with the same bindings; SELGEO_DATABASES=2 makes a second
// database; `--until-answer` prints how long it took from workerd's start to the first answer, and ends:
//   {"first_answer_ms":312.5}

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { parseArgs } from "node:util";

import { giveUp, isStopping, launch, modules, splitSql, stop, workerOptions } from "./workerd.mjs";

const SWEEP_EVERY_MS = 5_000;
const SWEEP_TIMEOUT_MS = 30_000;

const { values: args } = parseArgs({
  options: {
    root: { type: "string" },
    state: { type: "string" },
    port: { type: "string", default: "0" },
    modules: { type: "string" },
    "until-answer": { type: "boolean", default: false },
  },
});
const root = path.resolve(args.root);
const state = path.resolve(args.state);
const built = path.resolve(args.modules ?? path.join(root, "build", "worker"));

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
      if (!isStopping()) console.error(`the sweep failed: ${error.cause?.message ?? error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, SWEEP_EVERY_MS));
  }
}

/** A preflight: it needs the Worker with everything that it makes at its start, and no storage. */
function firstAnswer(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("error", reject).once("data", resolve);
    socket.write("OPTIONS /v1/clicks HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  });
}

async function main() {
  fs.mkdirSync(state, { recursive: true });
  const secret = secrets();
  const { workerOptions: fromConfig, externalWorkers } = workerOptions(path.join(root, "wrangler.toml"));
  // Rules choose modules for wrangler's bundler; here they are listed.
  delete fromConfig.modulesRules;
  // As a deployment with more databases lists them: DB, DB_1, DB_2 and so on.
  for (let index = 1; index < Number(process.env.SELGEO_DATABASES ?? 1); index += 1) {
    fromConfig.d1Databases[`DB_${index}`] = { ...fromConfig.d1Databases.DB, id: `selgeo-${index}` };
  }
  const databases = Object.keys(fromConfig.d1Databases);
  const consumes = process.env.SELGEO_CONSUMERS !== "0";
  if (!consumes) delete fromConfig.queueConsumers;
  // Whoever tries things out looks for a click at once.
  for (const consumer of Object.values(fromConfig.queueConsumers ?? {})) Object.assign(consumer, { maxBatchTimeout: 1, retryDelay: 1 });
  const assets = fromConfig.assets;
  delete fromConfig.assets;
  const { miniflare, port, pid, spawnedAt } = await launch({
    port: Number(args.port),
    state,
    workers: [
      {
        name: "selgeo",
        ...fromConfig,
        modules: modules(built),
        modulesRoot: built,
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
  });
  if (args["until-answer"]) {
    await firstAnswer(port);
    console.log(JSON.stringify({ first_answer_ms: performance.now() - spawnedAt }));
    return stop();
  }
  for (const name of databases) await migrate(await miniflare.getD1Database(name));
  console.log(JSON.stringify({ ready: { port, workerd_pid: pid, operator_token: secret.OPERATOR_TOKEN } }));
  if (consumes) sweepForEver(port);
}

main().catch((error) => giveUp(error, args.port));
