// The same jobs as a competent developer would first write them in JavaScript: everything looked up where it is stored, each
// write awaited, nothing remembered between requests. It promises what ours promises of a sale: all of it is stored or none,
// and a transaction counts once. It does less elsewhere: no visitor token, no labels of crawlers, and a Stripe event is
// stored but never booked.

import { DurableObject } from "cloudflare:workers";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const STRIPE_TOLERANCE_S = 300;
const SALT = "a secret of this Worker";

/** Counts one key's requests per minute; the count is stored before the answer leaves. */
export class RateLimiter extends DurableObject {
  async take(limit) {
    const minute = Math.floor(Date.now() / MINUTE_MS);
    let window = await this.ctx.storage.get("window");
    if (window?.minute !== minute) window = { minute, count: 0 };
    if (window.count >= limit) return { admitted: false, remaining: 0 };
    window.count += 1;
    await this.ctx.storage.put("window", window);
    return { admitted: true, remaining: limit - window.count };
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    try {
      if (request.method === "POST" && pathname === "/v1/clicks") return await click(request, env);
      if (request.method === "GET" && pathname.startsWith("/r/")) return await follow(request, env, pathname.slice(3));
      if (request.method === "POST" && pathname === "/api/v1/conversions") return await conversion(request, env);
      if (request.method === "POST" && pathname.startsWith("/webhooks/stripe/")) {
        return await stripe(request, env, pathname.slice("/webhooks/stripe/".length));
      }
      return refusal(404, "NOT_FOUND");
    } catch (error) {
      console.error(error);
      return refusal(500, "INTERNAL_ERROR");
    }
  },
};

async function click(request, env) {
  const body = await request.json();
  const key = await keyOf(env, body.merchant, "public");
  if (!key) return refusal(401, "INVALID_API_KEY");
  const admission = await limiter(env, body.merchant).take(key.per_minute);
  if (!admission.admitted) return refusal(429, "RATE_LIMIT_EXCEEDED");
  const link = await env.DB.prepare("SELECT id FROM links WHERE workspace_id = ? AND mode = ? AND ref = ? AND status = 'active'")
    .bind(key.workspace_id, key.mode, body.ref)
    .first();
  if (!link) return refusal(404, "REFERRAL_NOT_FOUND");
  const id = await insertClick(request, env, key, link.id, body.url, body.referrer);
  const headers = { "access-control-allow-origin": "*", "x-ratelimit-remaining": String(admission.remaining) };
  return Response.json({ click_id: id }, { status: 201, headers });
}

async function follow(request, env, slug) {
  const link = await env.DB.prepare("SELECT id, workspace_id, mode, landing_url FROM links WHERE slug = ?").bind(slug).first();
  if (!link) return refusal(404, "NOT_FOUND");
  const to = new URL(link.landing_url);
  const admission = await limiter(env, `links of ${link.workspace_id}`).take(1_000_000_000);
  if (admission.admitted) {
    const id = await insertClick(request, env, link, link.id, request.url, request.headers.get("referer"));
    to.searchParams.set("trac_click_id", id);
  }
  return new Response(null, { status: 302, headers: { location: to.href, "cache-control": "no-store" } });
}

async function insertClick(request, env, { workspace_id, mode }, linkId, url, referrer) {
  const id = crypto.randomUUID();
  const agent = request.headers.get("user-agent") ?? "";
  const address = request.headers.get("cf-connecting-ip") ?? "";
  const visitor = await sha256(`${SALT} ${Math.floor(Date.now() / DAY_MS)} ${workspace_id} ${address} ${agent}`);
  const device = /mobile|android|iphone/i.test(agent) ? "mobile" : "desktop";
  const human = /bot|crawl|spider|preview/i.test(agent) ? 0 : 1;
  await env.DB.prepare("INSERT INTO clicks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(id, workspace_id, mode, linkId, url ?? null, referrer ?? null, visitor, device, request.headers.get("cf-ipcountry"), human, Date.now())
    .run();
  return id;
}

async function conversion(request, env) {
  const secret = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  const digest = secret && (await sha256(secret));
  const key = digest && (await keyOf(env, digest, "secret"));
  if (!key) return refusal(401, "INVALID_API_KEY");
  const admission = await limiter(env, digest).take(key.per_minute);
  if (!admission.admitted) return refusal(429, "RATE_LIMIT_EXCEEDED");
  const body = await request.json();
  if (!body.external_transaction_id || !body.event_type || !Number.isInteger(body.amount_cents)) return refusal(400, "VALIDATION_ERROR");
  if (!body.click_id) return refusal(422, "NO_ATTRIBUTION_SIGNAL");
  const found = await env.DB.prepare(
    "SELECT clicks.created_at AS clicked_at, participants.id AS participant_id, participants.status, programs.id AS program_id, " +
      "programs.status AS program_status, programs.window_days, programs.percent_bps FROM clicks JOIN links ON links.id = clicks.link_id " +
      "JOIN participants ON participants.id = links.participant_id JOIN programs ON programs.id = participants.program_id " +
      "WHERE clicks.id = ? AND clicks.workspace_id = ? AND clicks.mode = ?",
  )
    .bind(body.click_id, key.workspace_id, key.mode)
    .first();
  const now = Date.now();
  const reason = whyNot(found, now);
  const id = crypto.randomUUID();
  const statements = [
    env.DB.prepare("INSERT INTO conversions VALUES (?, ?, ?, ?, ?, ?, ?, ?)").bind(
      id, key.workspace_id, key.mode, body.external_transaction_id, body.event_type, body.amount_cents, body.currency ?? null, now,
    ),
    env.DB.prepare("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)").bind(
      crypto.randomUUID(), id, JSON.stringify({ click_id: body.click_id, found }), reason ?? "attributed", now,
    ),
    env.DB.prepare("INSERT INTO outbox VALUES (?, ?, 'conversion.created', ?, ?)").bind(
      crypto.randomUUID(), key.workspace_id, JSON.stringify({ id, ...body }), now,
    ),
  ];
  let commissionId = null;
  if (!reason) {
    commissionId = crypto.randomUUID();
    const earned = Math.floor((body.amount_cents * found.percent_bps) / 10_000);
    statements.push(
      env.DB.prepare("INSERT INTO commissions VALUES (?, ?, ?, 'approved', ?)").bind(commissionId, id, found.participant_id, now),
      env.DB.prepare("INSERT INTO entries VALUES (?, ?, 'earned', ?, ?)").bind(crypto.randomUUID(), commissionId, earned, now),
    );
  }
  try {
    await env.DB.batch(statements);
  } catch (error) {
    if (!String(error).includes("UNIQUE constraint failed: conversions")) throw error;
    return refusal(409, "CONVERSION_DUPLICATE");
  }
  const attribution = { status: reason ? "unattributed" : "attributed", reason, participant_id: found?.participant_id ?? null };
  return Response.json({ id, ...body, mode: key.mode, attribution, commission_id: commissionId }, { status: 201 });
}

function whyNot(found, now) {
  if (!found) return "click_not_found";
  if (found.status !== "approved") return "participant_not_approved";
  if (found.program_status !== "active") return "program_paused";
  if (now - found.clicked_at > found.window_days * DAY_MS) return "window_expired";
  return null;
}

async function stripe(request, env, connectionId) {
  const connection = await env.DB.prepare("SELECT secret FROM stripe_connections WHERE id = ?").bind(connectionId).first();
  if (!connection) return refusal(404, "NOT_FOUND");
  const raw = await request.arrayBuffer();
  if (!(await isSigned(raw, request.headers.get("stripe-signature") ?? "", connection.secret))) return refusal(400, "INVALID_SIGNATURE");
  const body = new TextDecoder().decode(raw);
  const event = JSON.parse(body);
  await env.DB.prepare("INSERT OR IGNORE INTO stripe_events VALUES (?, ?, ?, ?, 'pending', ?)")
    .bind(connectionId, event.id, event.type, body, Date.now())
    .run();
  return Response.json({ received: true });
}

async function isSigned(raw, header, secret) {
  const parts = Object.fromEntries(header.split(",").map((part) => part.split("=", 2)));
  if (!(Math.abs(Date.now() / 1_000 - Number(parts.t)) <= STRIPE_TOLERANCE_S) || !/^[0-9a-f]{64}$/.test(parts.v1 ?? "")) return false;
  const bytes = (text) => new TextEncoder().encode(text);
  const key = await crypto.subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const signed = await new Blob([`${parts.t}.`, raw]).arrayBuffer();
  return crypto.subtle.verify("HMAC", key, Uint8Array.fromHex(parts.v1), signed);
}

function keyOf(env, id, kind) {
  const sql = "SELECT workspace_id, mode, per_minute FROM keys WHERE id = ? AND kind = ? AND revoked_at IS NULL";
  return env.DB.prepare(sql).bind(id ?? "", kind).first();
}

function limiter(env, name) {
  return env.RATE_LIMITER.get(env.RATE_LIMITER.idFromName(name));
}

async function sha256(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

function refusal(status, code) {
  return Response.json({ error: { code } }, { status });
}
