//! Holds what the product has stored against the reference model, and, in the end, against the truth.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value as Json, json};

use super::invariants::rows;
use super::reference::{Conversion, Sale};
use super::run::{Finding, Found, Simulation};
use crate::store::{Row, Statement};

/// What is stored of one scope.
struct Stored {
    conversions: Vec<Row>,
    /// By conversion.
    commissions: HashMap<String, Vec<Row>>,
}

macro_rules! must {
    ($holds:expr, $sort:ident, $($text:tt)+) => {
        if !$holds {
            return Err(Finding::$sort(format!($($text)+)));
        }
    };
}

impl Simulation {
    /// Brings the world to rest and compares every scope.
    pub fn compare(&mut self) -> Found {
        self.come_to_rest()?;
        self.watch.look(&self.world)?;
        self.watch.nothing_changed(&self.world)?;
        self.tally.comparisons += 1;
        for scope in 0..4 {
            let now_ms = self.now_ms();
            let sales = self.references[scope].look(&self.town, scope, now_ms);
            let stored = self.stored(scope);
            self.sales_are_conversions(scope, &sales, &stored)?;
            self.events_are_there(scope, &sales)?;
            for row in stored.conversions.iter().filter(|row| row.text("status").unwrap() != "merged") {
                let born = (row.integer("created_at").unwrap(), row.text("id").unwrap());
                for id in ids_of(row) {
                    self.references[scope].was_recorded(&id, &born);
                }
            }
        }
        self.clicks_are_there()
    }

    fn scoped(&self, scope: usize, statement: Statement) -> Vec<Row> {
        let Self { world, town, .. } = self;
        let scope = &town.scopes[scope];
        rows(world, statement.bind(scope.workspace_id.as_str()).bind(if scope.live { "live" } else { "test" }))
    }

    fn stored(&self, scope: usize) -> Stored {
        let conversions = self.scoped(
            scope,
            Statement::new("SELECT * FROM conversions WHERE workspace_id = ? AND mode = ? ORDER BY created_at, id"),
        );
        let mut commissions: HashMap<String, Vec<Row>> = HashMap::new();
        let all = Statement::new(
            "SELECT m.*, (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e WHERE e.commission_id = m.id) AS amount \
             FROM commissions m WHERE m.workspace_id = ? AND m.mode = ?",
        );
        for row in self.scoped(scope, all) {
            commissions.entry(row.text("conversion_id").unwrap()).or_default().push(row);
        }
        Stored { conversions, commissions }
    }

    pub fn commissions_of(&self, scope: usize) -> Vec<String> {
        let ids = Statement::new("SELECT id FROM commissions WHERE workspace_id = ? AND mode = ? ORDER BY id");
        self.scoped(scope, ids).iter().map(|row| row.text("id").unwrap()).collect()
    }

    pub fn any_stripe_event(&mut self, scope: usize) -> Option<String> {
        let ids = Statement::new("SELECT id FROM stripe_events WHERE workspace_id = ? AND mode = ? ORDER BY id");
        let ids = self.scoped(scope, ids);
        (!ids.is_empty()).then(|| self.die.pick(&ids).text("id").unwrap())
    }

    fn sales_are_conversions(&self, scope: usize, sales: &[Sale], stored: &Stored) -> Found {
        let mut sale_of: HashMap<&str, usize> = HashMap::new();
        for (place, sale) in sales.iter().enumerate() {
            sale_of.extend(sale.ids.iter().map(|id| (id.as_str(), place)));
        }
        let mut of_sale: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
        for row in &stored.conversions {
            let Some(place) = ids_of(row).iter().find_map(|id| sale_of.get(id.as_str())) else {
                return Err(Finding::Broken(format!("nobody told of the conversion {}", shown(row))));
            };
            of_sale.entry(*place).or_default().push(row);
        }
        for (place, sale) in sales.iter().enumerate() {
            let rows = of_sale.remove(&place).unwrap_or_default();
            self.sale_is_conversion(scope, sale, &rows, stored)
                .map_err(|finding| self.with_tellings(scope, sale, finding))?;
        }
        Ok(())
    }

    /// A finding with all that was told of its sale, in the order in which it was taken.
    fn with_tellings(&self, scope: usize, sale: &Sale, finding: Finding) -> Finding {
        let heard = self.references[scope].heard.iter();
        let of_sale = heard.filter(|telling| !telling.told.ids().is_disjoint(&sale.ids));
        let told: Vec<String> = of_sale.map(|telling| format!("\n    {} {:?}", telling.at_ms, telling.told)).collect();
        let told = told.concat();
        match finding {
            Finding::Lost(text) => Finding::Lost(text + &told),
            Finding::Doubled(text) => Finding::Doubled(text + &told),
            Finding::Broken(text) => Finding::Broken(text + &told),
        }
    }

    fn sale_is_conversion(&self, scope: usize, sale: &Sale, rows: &[&Row], stored: &Stored) -> Found {
        let what = format!("scope {scope}, sale {:?}", sale.ids);
        let Some(expected) = &sale.conversion else {
            must!(rows.is_empty(), Broken, "{what} is no conversion yet");
            return Ok(());
        };
        let standing: Vec<&&Row> = rows.iter().filter(|row| row.text("status").unwrap() != "merged").collect();
        must!(!standing.is_empty(), Lost, "{what} is no conversion");
        must!(standing.len() == 1, Doubled, "{what} is {} conversions", standing.len());
        let row = standing[0];
        let first_ms = rows.iter().map(|row| row.integer("created_at").unwrap()).min();
        must!(row.integer("created_at").ok() == first_ms, Broken, "{what}: not the earliest conversion stays");
        for merged in rows.iter().filter(|other| other.text("id") != row.text("id")) {
            let id = merged.text("id").unwrap();
            let left = stored.commissions.get(&id).into_iter().flatten();
            let left: i64 = left.map(|commission| commission.integer("amount").unwrap()).sum();
            must!(left == 0, Doubled, "{what}: {id} was merged and still earns {left}");
            must!(self.told("conversion.merged", &id) == 1, Broken, "{what}: that {id} was merged is not told once");
        }
        let shown = shown(row);
        let wanted = wanted(expected, &self.town);
        must!(shown == wanted, Broken, "{what}\n  is        {shown}\n  should be {wanted}");
        let id = row.text("id").unwrap();
        must!(self.told("conversion.created", &id) == 1, Broken, "{what}: that {id} was made is not told once");
        let of = |id: &str| stored.commissions.get(id).map_or(&[][..], Vec::as_slice);
        let others = rows.iter().map(|other| other.text("id").unwrap()).filter(|other| *other != id);
        let carried: Vec<&Row> = others.flat_map(|other| of(&other)).collect();
        self.earnings(&what, expected, of(&id), &carried)
    }

    fn told(&self, kind: &str, subject: &str) -> i64 {
        self.watch.told.get(&(kind.to_owned(), subject.to_owned())).copied().unwrap_or(0)
    }

    fn earnings(&self, what: &str, expected: &Conversion, commissions: &[Row], carried: &[&Row]) -> Found {
        let due = expected.earns.as_ref();
        let mut found = false;
        for row in commissions {
            let owner = self.town.participant(&row.text("participant_id").unwrap());
            let is_due =
                owner == expected.participant && due.is_some_and(|due| row.text("currency").unwrap() == due.currency);
            found |= is_due;
            let (amount, wanted) =
                (row.integer("amount").unwrap(), if is_due { due.map_or(0, |due| due.amount) } else { 0 });
            must!(amount == wanted, Broken, "{what}: the commission of {owner:?} is {amount}, not {wanted}; {due:?}");
            let disputed = row.flag("disputed").unwrap();
            must!(!is_due || disputed == expected.disputed, Broken, "{what}: disputed is {disputed}");
            let id = row.text("id").unwrap();
            must!(self.told("commission.created", &id) == 1, Broken, "{what}: that {id} was made is not told once");
            let state = row.text("state").unwrap();
            let mut wanted = self.states(&id, amount, expected, is_due);
            // What was decided of the same partner's commission on a conversion that was merged into this one goes on here.
            let same = |other: &&&Row| {
                other.text("participant_id") == row.text("participant_id")
                    && other.text("currency") == row.text("currency")
            };
            for other in carried.iter().filter(same) {
                match self.acts.get(&other.text("id").unwrap()).copied() {
                    Some("reject") => wanted.extend(["rejected", "pending"]),
                    Some(_) if amount != 0 => wanted.push("approved"),
                    _ => {}
                }
            }
            must!(
                wanted.contains(&state.as_str()),
                Broken,
                "{what}: {id} of {amount} is {state}, not {wanted:?}; {due:?}"
            );
        }
        must!(found || due.is_none_or(|due| due.amount == 0), Lost, "{what} earns nothing, not {due:?}");
        Ok(())
    }

    /// The states in which a commission may be. More than one only while a dispute is open, or after a late fact changed when or
    /// by what it is earned: they stop an approval that has not been, and take back none that has.
    fn states(&self, id: &str, amount: i64, expected: &Conversion, is_due: bool) -> Vec<&'static str> {
        let act = self.acts.get(id).copied();
        if act == Some("reject") {
            return vec!["rejected"];
        }
        if amount == 0 {
            return vec!["reversed"];
        }
        if act == Some("approve") {
            return vec!["approved"];
        }
        let Some(due) = expected.earns.as_ref().filter(|_| is_due) else { return vec![] };
        let approved = due.auto_approve && !due.needs_review && due.hold_until_ms <= self.now_ms();
        match (approved, expected.disputed) {
            (true, true) => vec!["pending", "approved"],
            (true, false) => vec!["approved"],
            // What was approved by what was known before is not taken back.
            (false, _) if expected.was_corrected => vec!["pending", "approved"],
            (false, _) => vec!["pending"],
        }
    }

    /// Every event that was acknowledged is in the log, once, with the outcome that it must have.
    fn events_are_there(&self, scope: usize, sales: &[Sale]) -> Found {
        let log =
            Statement::new("SELECT stripe_id, outcome, reason FROM stripe_events WHERE workspace_id = ? AND mode = ?");
        let mut outcomes = HashMap::new();
        for row in self.scoped(scope, log) {
            let before = outcomes.insert(row.text("stripe_id").unwrap(), row.text("outcome").unwrap());
            must!(before.is_none(), Doubled, "{:?} is in the log twice", row.text("stripe_id"));
        }
        let unknown: HashSet<&String> = sales.iter().filter(|sale| !sale.is_known).flat_map(|sale| &sale.ids).collect();
        for (event_id, telling) in &self.accepted[scope] {
            let wanted = match telling {
                None => "skipped",
                Some(telling) if telling.told.ids().iter().any(|id| unknown.contains(id)) => "parked",
                Some(_) => "processed",
            };
            let outcome = outcomes.remove(event_id);
            must!(outcome.is_some(), Lost, "{event_id} was acknowledged and is not in the log");
            let outcome = outcome.unwrap();
            must!(outcome == wanted, Broken, "scope {scope}: {event_id} is {outcome}, not {wanted}; {telling:?}");
        }
        must!(outcomes.is_empty(), Broken, "scope {scope}: the log has more than was sent: {outcomes:?}");
        Ok(())
    }

    /// A click that earned is recorded, be its own message lost.
    fn clicks_are_there(&self) -> Found {
        let missing = "SELECT count(*) FROM conversions c WHERE c.attributed_click_id IS NOT NULL AND c.attributed_click_id NOT IN \
                       (SELECT click_id FROM clicks UNION ALL SELECT click_id FROM packed_clicks)";
        let missing = self.world.db.count(missing);
        must!(missing == 0, Lost, "{missing} clicks that earned are not recorded");
        Ok(())
    }

    /// What the API shows a key is its own scope's, and sums up.
    pub fn read(&mut self, scope: usize) -> Found {
        self.world.pass_ms(1);
        let own = self.commissions_of(scope);
        let answer = self.api(scope, "GET /api/v1/commissions?limit=100", json!(null));
        must!(answer.status == 200, Broken, "commissions are answered {}", answer.summary());
        let listed = answer.body["data"].as_array().cloned().unwrap_or_default();
        must!(listed.len() == own.len().min(100), Lost, "{} commissions are listed of {}", listed.len(), own.len());
        for commission in &listed {
            let id = commission["id"].as_str().unwrap_or_default();
            must!(own.iter().any(|held| held == id), Broken, "{id} is shown to another scope");
            let entries = commission["entries"].as_array().cloned().unwrap_or_default();
            let sum: i64 = entries.iter().filter_map(|entry| entry["amount_cents"].as_i64()).sum();
            must!(commission["amount_cents"] == json!(sum), Broken, "{id} is not the sum of its entries");
        }
        let other = (scope + 1 + self.die.place(3)) % 4;
        if let Some(foreign) = self.commissions_of(other).first() {
            let answer = self.api(scope, &format!("GET /api/v1/commissions/{foreign}"), json!(null));
            must!(answer.status == 404, Broken, "{foreign} is answered {} in another scope", answer.summary());
        }
        Ok(())
    }

    /// In the end, where all tellings of a purchase have met: one conversion of what was really paid, less what really went
    /// back. And no conversion of two purchases.
    pub fn compare_with_the_truth(&mut self) -> Found {
        for scope in 0..4 {
            let now_ms = self.now_ms();
            let sales = self.references[scope].look(&self.town, scope, now_ms);
            let mut of_truth: BTreeMap<usize, Vec<&Sale>> = BTreeMap::new();
            for sale in &sales {
                must!(sale.truths.len() == 1, Broken, "the purchases {:?} are one sale", sale.truths);
                of_truth.entry(*sale.truths.first().unwrap()).or_default().push(sale);
            }
            self.tally.conversions += sales.iter().filter(|sale| sale.conversion.is_some()).count() as u64;
            for (truth, purchase) in self.buyers.purchases.iter().enumerate().filter(|(_, p)| p.scope == scope) {
                let Some([sale]) = of_truth.get(&truth).map(Vec::as_slice) else { continue };
                if !purchase.is_paid || !sale.is_known {
                    continue;
                }
                let told = sale.conversion.as_ref().map(|conversion| (conversion.amount, conversion.refunded));
                let really = Some((purchase.amount, purchase.refunded()));
                must!(told == really, Broken, "purchase {truth} is {told:?}, really {really:?}");
            }
        }
        Ok(())
    }
}

/// The id under which a conversion's sale is known, as the model writes it; one of the two is.
fn ids_of(row: &Row) -> [String; 2] {
    let anchor = row.text("anchor").unwrap().replace("#first", "");
    let first = format!("the first invoice of {anchor}");
    [anchor, first]
}

/// A conversion as it is stored.
fn shown(row: &Row) -> Json {
    let text = |column: &'static str| row.text_opt(column).unwrap();
    let number = |column: &'static str| row.integer(column).unwrap();
    json!({
        "source": text("source"), "event_type": text("event_type"), "amount": number("amount_cents"),
        "currency": text("currency"), "refunded": number("refunded_cents"), "status": text("status"),
        "occurred": number("occurred_at"), "reason": text("attribution_reason"), "participant": text("participant_id"),
    })
}

/// The same, as the model has it.
fn wanted(expected: &Conversion, town: &super::merchants::Town) -> Json {
    let status = match expected.refunded {
        0 => "recorded",
        all if all == expected.amount => "refunded",
        _ => "partially_refunded",
    };
    json!({
        "source": expected.source, "event_type": expected.event_type, "amount": expected.amount,
        "currency": expected.currency, "refunded": expected.refunded, "status": status,
        "occurred": expected.occurred_ms, "reason": expected.reason,
        "participant": expected.participant.map(|place| &town.participants[place].id),
    })
}
