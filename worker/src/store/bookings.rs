//! Everything that one booking looks at, in two statements: each one costs, however little it finds, and what one part found is not
//! looked up again by the next. D1's engine copies a part wherever it is referred to, and allows a hundred tables in all: hence two.

use domain::ids::ParticipantId;
use serde_json::{Map, Value as Json};

use super::families::Mentions;
use super::{DbError, Row, Scope, Statement};

/// What is read, part by part.
#[derive(Default)]
pub struct Parts {
    /// The families that the keys name, the oldest first.
    pub families: Vec<Row>,
    /// Their keys.
    pub keys: Vec<Row>,
    /// Their facts and those of what was merged into them, by source; so are the next ones, the oldest first.
    pub facts: Vec<Row>,
    /// Conversions.
    pub conversions: Vec<Row>,
    /// The decisions in force.
    pub decisions: Vec<Row>,
    /// Commissions.
    pub commissions: Vec<Row>,
    /// People's words on who is credited.
    pub acts: Vec<Row>,
    /// The links whose clicks are named, of any workspace and mode.
    pub links: Vec<Row>,
    /// The promo codes that are named, of either mode.
    pub codes: Vec<Row>,
    /// What discounts were made of; each with its promo code, if that is known.
    pub discounts: Vec<Row>,
    /// The customers that are named, each once for each of its keys.
    pub customers: Vec<Row>,
    /// Everybody who may be credited, each with all versions of the rewards in question.
    pub people: Vec<Row>,
    /// The new clicks, with how many the same address made in the hour before.
    pub bursts: Vec<Row>,
}

/// The columns of each part of the families, as their statement lists them.
const FAMILIES: [&[&str]; 7] = [
    &["id", "revision", "parked"],
    &["key"],
    &["source", "said_at", "body", "stripe_event_id"],
    &[
        "id",
        "anchor",
        "source",
        "status",
        "external_transaction_id",
        "event_type",
        "amount_cents",
        "currency",
        "refunded_cents",
        "occurred_at",
        "click_id",
        "promo_code",
        "customer_external_id",
        "metadata",
        "stripe",
        "decision_id",
        "attribution_method",
        "attribution_reason",
        "attributed_click_id",
        "attributed_promo_code",
        "program_id",
        "participant_id",
        "customer_id",
        "created_at",
    ],
    &["id", "inputs", "verdict"],
    &[
        "id",
        "conversion_id",
        "participant_id",
        "currency",
        "state",
        "disputed",
        "reversed_from",
        "reward_version",
        "needs_review",
        "hold_until",
        "auto_approve",
        "amount_cents",
        "bonus_cents",
    ],
    &["id", "subject", "detail"],
];

/// The same of whom they name.
const NAMED: [&[&str]; 6] = [
    &["number", "link_id", "workspace_id", "mode", "participant_id"],
    &["code_folded", "stripe_promotion_code_id", "mode", "participant_id"],
    &["discount", "promotion_code", "code_folded", "stripe_promotion_code_id", "mode", "participant_id"],
    &["key", "id", "participant_id", "bound_by", "purchases", "unauthenticated"],
    &[
        "participant_id",
        "participant_status",
        "program_id",
        "program_status",
        "attribution_window_days",
        "attribution_model",
        "fraud",
        "reverse_pending_on_end",
        "email",
        "recent",
        "rewards",
    ],
    &["click_id", "clicks"],
];

/// The families that any of the keys `?3` names, and what was merged into those. `?1` the workspace, `?2` the mode.
macro_rules! family {
    () => {
        "family (id, is_root) AS MATERIALIZED (SELECT DISTINCT f.id, f.merged_into IS NULL FROM json_each(?3) j CROSS JOIN family_keys k \
         ON k.workspace_id = CAST(?1 AS TEXT) AND k.mode = CAST(?2 AS TEXT) AND k.key = j.value CROSS JOIN families f \
         ON f.id = k.family_id OR f.merged_into = k.family_id)"
    };
}

/// What is stored of the families, parts `0` to `6`. D1 compounds at most five at once.
macro_rules! families {
    () => {
        concat!(
            "WITH ",
            family!(),
            " SELECT part, cells FROM (SELECT * FROM (\
             SELECT 0 AS part, f.id AS place, json_array(f.id, f.revision, f.parked) AS cells FROM family \
             CROSS JOIN families f ON f.id = family.id WHERE family.is_root UNION ALL \
             SELECT 1, NULL, json_array(k.key) FROM family CROSS JOIN family_keys k ON k.family_id = family.id UNION ALL \
             SELECT 2, f.source, json_array(f.source, f.said_at, f.body, f.stripe_event_id) \
             FROM family CROSS JOIN facts f ON f.family_id = family.id UNION ALL \
             SELECT 3, c.id, json_array(c.id, c.anchor, c.source, c.status, c.external_transaction_id, c.event_type, c.amount_cents, \
             c.currency, c.refunded_cents, c.occurred_at, c.click_id, c.promo_code, c.customer_external_id, c.metadata, c.stripe, \
             c.decision_id, c.attribution_method, c.attribution_reason, c.attributed_click_id, c.attributed_promo_code, c.program_id, \
             c.participant_id, c.customer_id, c.created_at) FROM family CROSS JOIN conversions c ON c.family_id = family.id UNION ALL \
             SELECT 4, NULL, json_array(d.id, d.inputs, d.verdict) FROM family CROSS JOIN conversions c ON c.family_id = family.id \
             CROSS JOIN decisions d ON d.id = c.decision_id) UNION ALL SELECT * FROM (\
             SELECT 5, m.id, json_array(m.id, m.conversion_id, m.participant_id, m.currency, m.state, m.disputed, m.reversed_from, \
             m.reward_version, m.needs_review, m.hold_until, m.auto_approve, \
             (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e WHERE e.commission_id = m.id AND e.kind <> 'bonus'), \
             (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e WHERE e.commission_id = m.id AND e.kind = 'bonus')) \
             FROM family CROSS JOIN conversions c ON c.family_id = family.id CROSS JOIN commissions m ON m.conversion_id = c.id UNION ALL \
             SELECT 6, a.id, json_array(a.id, a.subject, a.detail) FROM family CROSS JOIN conversions c ON c.family_id = family.id \
             CROSS JOIN acts a ON a.subject = c.id WHERE a.kind = 'conversion.attribute')) ORDER BY part, place"
        )
    };
}

/// Whom the new facts (`?4`, mentions) and the stored ones name, parts `0` to `5`. `?5` participants to be known of beside them, `?6`
/// the new clicks.
///
/// A refund rate is taken of a participant's newest conversions. Of the hour before a click the newest packs are looked through, a
/// thousand clicks at the least where they come fast. Their JSON is text as far as can be: a click's record ends where the next one
/// begins; where a string ends as a record does, what is cut off there is no JSON, and the pack is taken apart. How often an address
/// is in a pack tells how often it clicked, if all of the pack is of that hour. What is partly of it is taken apart too.
macro_rules! named {
    () => {
        concat!(
            "WITH ",
            family!(),
            ", named (kind, value) AS MATERIALIZED (SELECT DISTINCT * FROM (\
             SELECT t.key, j.value FROM json_each(?4) t CROSS JOIN json_each(t.value) j UNION ALL \
             SELECT t.key, j.value FROM family CROSS JOIN facts f ON f.family_id = family.id CROSS JOIN json_each(f.mentions) t \
             CROSS JOIN json_each(t.value) j UNION ALL SELECT 'person', value FROM json_each(?5) UNION ALL \
             SELECT 'person', v.participant_id FROM family CROSS JOIN conversions v ON v.family_id = family.id)), \
             found (part, cells, participant_id) AS MATERIALIZED (SELECT CASE n.kind WHEN 'links' THEN 0 WHEN 'discounts' THEN 2 \
             WHEN 'customers' THEN 3 ELSE 1 END, CASE WHEN l.number IS NOT NULL THEN \
             json_array(l.number, l.id, l.workspace_id, l.mode, l.participant_id) WHEN d.discount IS NOT NULL THEN \
             json_array(d.discount, d.promotion_code, s.code_folded, s.stripe_promotion_code_id, s.mode, s.participant_id) \
             WHEN u.id IS NOT NULL THEN json_array(k.key, u.id, u.participant_id, u.bound_by, u.purchases, u.unauthenticated) \
             WHEN c.id IS NOT NULL THEN json_array(c.code_folded, c.stripe_promotion_code_id, c.mode, c.participant_id) \
             WHEN s.id IS NOT NULL THEN json_array(s.code_folded, s.stripe_promotion_code_id, s.mode, s.participant_id) END, \
             COALESCE(l.participant_id, c.participant_id, s.participant_id, u.participant_id, iif(n.kind = 'person', n.value, NULL)) \
             FROM named n LEFT JOIN links l ON l.number = iif(n.kind = 'links', n.value, NULL) \
             LEFT JOIN promo_codes c ON c.workspace_id = CAST(?1 AS TEXT) AND c.mode IN ('test', 'live') \
             AND c.code_folded = iif(n.kind = 'codes', n.value, NULL) \
             LEFT JOIN stripe_discounts d ON d.workspace_id = CAST(?1 AS TEXT) AND d.mode = CAST(?2 AS TEXT) \
             AND d.discount = iif(n.kind = 'discounts', n.value, NULL) \
             LEFT JOIN promo_codes s ON s.workspace_id = CAST(?1 AS TEXT) AND s.mode IN ('test', 'live') \
             AND s.stripe_promotion_code_id = COALESCE(d.promotion_code, iif(n.kind = 'promotion_codes', n.value, NULL)) \
             LEFT JOIN customer_keys k ON k.workspace_id = CAST(?1 AS TEXT) AND k.mode = CAST(?2 AS TEXT) \
             AND k.key = iif(n.kind = 'customers', n.value, NULL) LEFT JOIN customers u ON u.id = k.customer_id), \
             burst AS MATERIALIZED (SELECT pack_id, hour, record ->> 0 AS click_id, CAST(record ->> 2 AS INTEGER) AS clicked_at, \
             record ->> 8 AS address_hash FROM (SELECT pack_id, hour, CASE WHEN json_valid(cut) THEN cut ELSE \
             (SELECT r.value FROM json_each(records) r WHERE r.value ->> 0 = sought) END AS record FROM (SELECT pack_id, hour, records, \
             sought, substr(rest, 1, COALESCE(NULLIF(instr(rest, '],[\"'), 0), \
             length(rest) - 1)) AS cut FROM (SELECT p.id AS pack_id, p.hour, p.records, j.value ->> 0 AS sought, \
             substr(p.records, instr(p.records, '[\"' || (j.value ->> 0) || '\",')) AS rest \
             FROM json_each(?6) j CROSS JOIN click_packs p ON p.workspace_id = CAST(?1 AS TEXT) AND p.mode = CAST(?2 AS TEXT) \
             AND p.hour = (j.value ->> 1) / 3600000 AND p.first_at <= j.value ->> 1 AND p.last_at >= j.value ->> 1 \
             AND instr(p.records, '[\"' || (j.value ->> 0) || '\",') > 0)))) \
             SELECT part, cells FROM found WHERE cells IS NOT NULL UNION ALL \
             SELECT 4, json_array(p.id, p.status, g.id, g.status, g.attribution_window_days, g.attribution_model, g.fraud, \
             g.reverse_pending_on_end, a.email, (SELECT '[' || COUNT(*) || ',' || COALESCE(SUM(status = 'refunded'), 0) || ']' FROM \
             (SELECT v.status FROM conversions v WHERE v.workspace_id = CAST(?1 AS TEXT) AND v.mode = CAST(?2 AS TEXT) \
             AND v.participant_id = p.id ORDER BY v.id DESC LIMIT 50)), (SELECT '' || json_group_array(json(v.body)) FROM reward_versions v \
             WHERE v.program_id = g.id AND (v.body ->> 'participant_id' IS NULL OR v.body ->> 'participant_id' = p.id))) \
             FROM (SELECT DISTINCT participant_id AS id FROM found) one CROSS JOIN participants p ON p.id = one.id \
             CROSS JOIN programs g ON g.id = p.program_id CROSS JOIN partners a ON a.id = p.partner_id \
             WHERE p.workspace_id = CAST(?1 AS TEXT) AND p.mode = CAST(?2 AS TEXT) UNION ALL \
             SELECT 5, json_array(b.click_id, (SELECT COALESCE(SUM(CASE \
             WHEN o.first_at >= b.clicked_at - 3600000 AND o.last_at <= b.clicked_at OR o.id = b.pack_id AND o.times = 1 THEN o.times \
             ELSE (SELECT COUNT(*) FROM json_each(o.records) r WHERE r.value ->> 8 = b.address_hash \
             AND r.value ->> 2 BETWEEN b.clicked_at - 3600000 AND b.clicked_at) END), 0) FROM (SELECT p.id, p.first_at, p.last_at, p.records, \
             (length(p.records) - length(replace(p.records, json_quote(b.address_hash), ''))) / (length(b.address_hash) + 2) AS times \
             FROM click_packs p WHERE p.workspace_id = CAST(?1 AS TEXT) AND p.mode = CAST(?2 AS TEXT) \
             AND p.hour BETWEEN b.hour - 1 AND b.hour AND p.first_at <= b.clicked_at AND p.last_at >= b.clicked_at - 3600000 \
             ORDER BY p.hour DESC, p.last_at DESC LIMIT 10) o WHERE o.times > 0)) \
             FROM burst b WHERE b.address_hash IS NOT NULL UNION ALL \
             SELECT 5, json_array(c.click_id, (SELECT COUNT(*) FROM (SELECT o.address_hash FROM clicks o \
             WHERE o.workspace_id = CAST(?1 AS TEXT) AND o.mode = CAST(?2 AS TEXT) \
             AND o.clicked_at BETWEEN c.clicked_at - 3600000 AND c.clicked_at ORDER BY o.clicked_at DESC LIMIT 1000) \
             WHERE address_hash = c.address_hash)) FROM json_each(?6) j CROSS JOIN clicks c ON c.click_id = j.value ->> 0 \
             WHERE c.workspace_id = CAST(?1 AS TEXT) AND c.mode = CAST(?2 AS TEXT) AND c.address_hash IS NOT NULL"
        )
    };
}

/// The reads of one booking, two statements. `people` are participants to be known of beside those that the facts name.
pub fn load(
    scope: &Scope,
    keys: &[String],
    mentions: &Mentions,
    people: &[&ParticipantId],
) -> Result<[Statement; 2], DbError> {
    let people: Vec<&str> = people.iter().map(|id| id.as_str()).collect();
    let keys = super::to_json(&keys)?;
    let of_keys = |sql| Statement::new(sql).bind_workspace(&scope.workspace_id).bind(scope.mode).bind(&keys);
    let named = of_keys(named!())
        .bind(super::to_json(mentions)?)
        .bind(super::to_json(&people)?)
        .bind(super::to_json(&mentions.clicks)?);
    Ok([of_keys(families!()), named])
}

/// Sorts the rows of both into their parts.
pub fn decode(families: &[Row], named: &[Row]) -> Result<Parts, DbError> {
    let [families, keys, facts, conversions, decisions, commissions, acts] = sorted(families, FAMILIES)?;
    let [links, codes, discounts, customers, people, bursts] = sorted(named, NAMED)?;
    Ok(Parts {
        families,
        keys,
        facts,
        conversions,
        decisions,
        commissions,
        acts,
        links,
        codes,
        discounts,
        customers,
        people,
        bursts,
    })
}

fn sorted<const PARTS: usize>(rows: &[Row], columns: [&[&str]; PARTS]) -> Result<[Vec<Row>; PARTS], DbError> {
    let mut parts = [const { Vec::new() }; PARTS];
    for row in rows {
        let cells: Vec<Json> = row.json("cells")?;
        let place = usize::try_from(row.integer("part")?).ok();
        let (part, columns) = place
            .and_then(|place| parts.get_mut(place).zip(columns.get(place)))
            .ok_or(DbError::Row { column: "part", expected: "the number of a part" })?;
        part.push(Row::new(columns.iter().map(|name| (*name).to_owned()).zip(cells).collect::<Map<_, _>>()));
    }
    Ok(parts)
}
