//! Write: what a booking says beside conversions and commissions: acts, codes that are waited for, refunds as they are listed,
//! alerts, events that are parked no more, clicks whose records never came.

use std::collections::BTreeSet;

use domain::attribution::Sighting;
use domain::ids::{FamilyId, FraudAlertId};
use domain::sale::listed;
use serde_json::json;

use super::Writer;
use crate::booking::Booking;
use crate::booking::decide::{Conversion as DecidedConversion, Family};
use crate::booking::directory::open;
use crate::booking::load::Attributed;
use crate::error::ApiError;
use crate::store::acts::{self, NewAct};
use crate::store::clicks::{self, ClickRecord};
use crate::store::conversions::Conversion;
use crate::store::{DbError, Statement, families, fraud_alerts, refunds, stripe_events};

impl Writer<'_> {
    /// A person's word, as the act that it is.
    pub(super) fn by_hand(&self) -> Result<Option<Statement>, DbError> {
        let Some(by_hand) = &self.booking.by_hand else { return Ok(None) };
        let manual = &by_hand.manual;
        let detail =
            Attributed { participant_id: manual.participant_id.clone(), program_id: manual.program_id.clone() };
        let act = NewAct {
            id: manual.act_id.clone(),
            kind: "conversion.attribute",
            subject: &by_hand.conversion_id,
            reason: Some(&by_hand.reason),
            detail: Some(crate::store::to_json(&detail)?),
            request_id: self.booking.request_id.as_deref().unwrap_or_default(),
            person_id: by_hand.person_id.as_ref(),
        };
        Ok(Some(acts::insert(&self.booking.scope, &act, self.booking.now)))
    }

    /// Codes that Stripe named and nobody has mapped: the family is decided again once somebody does.
    pub(super) fn awaited(&self, family: &Family, id: &FamilyId) -> Result<Vec<Statement>, DbError> {
        let unknown: BTreeSet<&str> = family
            .conversions
            .iter()
            .filter(|decided| !decided.verdict_stands)
            .flat_map(|decided| &decided.inputs.promo_codes)
            .filter(|promo| promo.stripe && promo.sighting == Sighting::Unknown)
            .map(|promo| promo.code.as_str())
            .collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let Booking { scope, now, .. } = self.booking;
        let unknown: Vec<&str> = unknown.into_iter().collect();
        // Whoever maps one from now on finds the family; what was mapped since it was loaded is found here.
        Ok(vec![families::await_codes(scope, id, &unknown)?, families::wake_if_mapped(scope, id, &unknown, *now)?])
    }

    /// The family's refunds and disputes for reading, where one was told of now, or its sale was found.
    pub(super) fn refunds(&self, family: &Family, told: &[(usize, String)]) -> Result<Vec<Statement>, DbError> {
        let Booking { scope, facts, now, .. } = self.booking;
        let news = facts.iter().any(|fact| fact.body.takes_back());
        let found = family.loaded.families.len() > 1 || family.loaded.families.iter().any(|loaded| loaded.parked);
        if !news && !found {
            return Ok(Vec::new());
        }
        let of_sale = |key: &String| {
            let place = family.members.iter().position(|member| member.keys.contains(key))?;
            told.iter().find(|(member, _)| *member == place).map(|(_, conversion)| conversion.as_str())
        };
        let reported = |refund: &listed::Listed| {
            // A reported refund is known by the id of the fact that brought it.
            let source =
                (refund.source == listed::Source::Reported).then(|| refund.key.replacen("report/", "refund/", 1));
            facts.iter().find(|fact| Some(&fact.source) == source.as_ref()).map(|fact| fact.id.to_string())
        };
        let listed = listed::listed(&family.loaded.facts);
        // What a charge told as a sum is told one by one now.
        let is_told = |charge: &&String| !listed.iter().any(|refund| refund.key == **charge);
        let charges: Vec<&String> = listed::charges(&family.loaded.facts).into_iter().filter(is_told).collect();
        let gone = (!charges.is_empty()).then(|| refunds::delete(scope, &charges)).transpose()?;
        let upserts = listed.iter().map(|refund| {
            let id = reported(refund).unwrap_or_else(|| self.app.fresh::<domain::ids::Refund>(*now).to_string());
            Ok(refunds::upsert(scope, &id, refund, of_sale(&refund.sale_key), *now))
        });
        gone.into_iter().map(Ok).chain(upserts).collect()
    }

    /// What the fraud rules found now.
    pub(super) fn alerts(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        conversion: &Conversion,
        batch: &mut Vec<Statement>,
    ) -> Result<(), ApiError> {
        if decided.verdict_stands {
            return Ok(());
        }
        let Booking { scope, now, .. } = self.booking;
        let before = decided.row.as_ref().and_then(|row| family.loaded.decisions.get(row.decision_id.as_str()));
        let found = fraud_alerts::new(&decided.verdict, before.map(|(_, verdict)| verdict));
        if found.is_empty() {
            return Ok(());
        }
        for one in &found {
            let id: FraudAlertId = self.app.fresh(*now);
            batch.push(fraud_alerts::insert(scope, &id, &conversion.id, one, *now));
        }
        let data = json!({
            "conversion_id": conversion.id, "mode": scope.mode, "blocked": conversion.participant_id.is_none(),
            "findings": found.iter().map(|one| json!({
                "participant_id": one.participant_id, "rule": one.rule.as_str(), "response": one.response.as_str(),
            })).collect::<Vec<_>>(),
        });
        self.event("conversion.fraud_detected", conversion.id.as_str(), data);
        Ok(())
    }

    /// Events that were parked for a sale that is known now.
    pub(super) fn found(&self, family: &Family) -> Result<Option<Statement>, DbError> {
        if !family.loaded.families.iter().any(|loaded| loaded.parked) {
            return Ok(None);
        }
        let known: Vec<&BTreeSet<String>> =
            family.members.iter().filter(|member| !member.unknown).map(|member| &member.keys).collect();
        let events: Vec<&String> = family
            .loaded
            .events
            .iter()
            .filter(|(_, keys)| known.iter().any(|member| !member.is_disjoint(keys)))
            .map(|(event, _)| event)
            .collect();
        if events.is_empty() { Ok(None) } else { stripe_events::unpark(&events).map(Some) }
    }

    /// The clicks named, should their own records not have come yet, or have been purged or lost.
    pub(super) fn recovered(&self, decided: &DecidedConversion) -> Result<Vec<Statement>, ApiError> {
        let Booking { scope, request_id, .. } = self.booking;
        let records: Vec<ClickRecord> = decided
            .inputs
            .clicks
            .iter()
            .filter(|click| matches!(click.sighting, Sighting::Here(_)))
            .filter_map(|click| {
                open(self.app, &self.booking.scope.workspace_id, &click.click_id).map(|opened| (click, opened))
            })
            .map(|(click, opened)| ClickRecord {
                click_id: click.click_id.clone(),
                workspace_id: scope.workspace_id.to_string(),
                mode: scope.mode.to_string(),
                link_number: i64::from(opened.link.number),
                clicked_at: opened.at,
                url: None,
                referrer: None,
                human: true,
                flags: vec![clicks::RECOVERED.to_owned()],
                address_hash: None,
                device: None,
                browser: None,
                country: None,
                request_id: request_id.clone(),
            })
            .collect();
        Ok(if records.is_empty() { Vec::new() } else { vec![clicks::recover(&records)?] })
    }
}
