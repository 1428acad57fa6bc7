// workerd, started through Miniflare: by the local server, and by what it is measured against (tests/benches/references).
//
// Clients talk to workerd's own socket. This process only feeds workerd its configuration. When workerd dies it exits with
// 70; when its stdin ends, whoever started it is gone, and it exits too.

import childProcess from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const EXIT_PORT_IN_USE = 69;
const EXIT_WORKERD_DIED = 70;

// Miniflare starts workerd through this function. Hooked before it is loaded: its pid and its end are not told otherwise.
let workerd;
let spawnedAt;
const spawn = childProcess.spawn;
childProcess.spawn = (command, ...rest) => {
  const isWorkerd = path.basename(String(command)).startsWith("workerd");
  if (isWorkerd) spawnedAt = performance.now();
  const child = spawn(command, ...rest);
  if (isWorkerd) {
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
  console.error(`workerd ended (${how}); what it had stored is kept`);
  process.exit(EXIT_WORKERD_DIED);
}

/** Ends workerd and this process. */
export function stop() {
  if (stopping) return;
  stopping = true;
  workerd?.kill("SIGKILL");
  process.exit(0);
}
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.stdin.on("end", stop).on("error", stop).resume();

/** Whether this process is about to end. */
export const isStopping = () => stopping;

const require = createRequire(import.meta.url);
const wrangler = require("wrangler");
// Miniflare is wrangler's dependency, of exactly the version that wrangler's options are for.
const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = createRequire(require.resolve("wrangler"))("miniflare");

/** What wrangler.toml says, as Miniflare's options, and wrangler's way to take SQL apart. */
export const { unstable_getMiniflareWorkerOptions: workerOptions, unstable_splitSqlQuery: splitSql } = wrangler;

/** The built modules of a folder. Wrangler would bundle them; worker-build has already done so. */
export function modules(dir) {
  const types = { ".js": "ESModule", ".wasm": "CompiledWasm" };
  const files = fs.readdirSync(dir).filter((name) => path.extname(name) in types);
  // The first one is the entry point.
  files.sort((a, b) => Number(b === "index.js") - Number(a === "index.js"));
  return files.map((name) => ({ type: types[path.extname(name)], path: path.join(dir, name) }));
}

/** Starts these Workers, the first of which is asked. `spawnedAt` is when workerd's process began, by this one's clock. */
export async function launch({ port, state, workers }) {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      log: new Log(LogLevel.WARN),
      logRequests: false,
      handleStructuredLogs: ({ message }) => console.error(message),
      // Where wrangler looks under `--persist-to DIR`, so that its d1 and kv commands see the same data.
      resourcePersistencePath: path.join(state, "v3"),
      // The scheduled handler gets a path of its own on the socket.
      unsafeTriggerHandlers: true,
      cf: false,
      telemetry: { enabled: false },
      workers,
    }),
  );
  const url = await miniflare.ready;
  serving = true;
  return { miniflare, port: Number(url.port), pid: workerd.pid, spawnedAt };
}

/** Ends this process because it could not start. */
export function giveUp(error, port) {
  stopping = true;
  workerd?.kill("SIGKILL");
  if (error.code === "ERR_ADDRESS_IN_USE") {
    console.error(`port ${port} is in use`);
    process.exit(EXIT_PORT_IN_USE);
  }
  console.error(error.stack ?? String(error));
  process.exit(1);
}
