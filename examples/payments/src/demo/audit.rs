//! The audit: what the ledger holds against what was asked for.

use std::collections::BTreeMap;

use super::load::{Load, Seen};
use crate::event::{Begun, Tally};
use crate::ledger::Charges;

#[derive(Default)]
pub(crate) struct Audit {
    findings: Vec<String>,
}

impl Audit {
    pub(crate) fn of(load: &Load, seen: &Seen, charges: &Charges, begins: &Tally) -> Self {
        let asked: BTreeMap<String, u64> =
            load.payments().map(|payment| (payment.payment, payment.amount)).collect();
        let held = |payment: &String| charges.get(payment).map_or(&[][..], Vec::as_slice);
        let mut audit = Self::default();
        audit.find("charged more than once", charges.iter().filter(|(_, held)| held.len() > 1).map(first));
        audit.find("never charged", asked.keys().filter(|payment| held(payment).is_empty()));
        let amiss = |(payment, amount): &(&String, &u64)| held(payment).iter().any(|c| c.amount != **amount);
        audit.find("charged a wrong amount", asked.iter().filter(amiss).map(first));
        audit.find(
            "charged and never asked for",
            charges.keys().filter(|payment| !asked.contains_key(*payment)),
        );
        audit.find("answered wrongly", seen.wrong.iter());
        audit.find("never answered", (0..seen.gave_up).map(|_| "a request"));

        // A run whose kills missed every charge shows nothing.
        if begins.of(Begun::InDoubt) == 0 {
            audit.findings.push("no kill left a payment in doubt".into());
        }
        audit
    }

    fn find<T: std::fmt::Display>(&mut self, what: &str, cases: impl Iterator<Item = T>) {
        let cases: Vec<String> = cases.map(|case| case.to_string()).collect();
        if !cases.is_empty() {
            let some = cases[..cases.len().min(5)].join(", ");
            let more = if cases.len() > 5 { ", ..." } else { "" };
            self.findings.push(format!("{what}: {} ({some}{more})", cases.len()));
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn verdict(&self) -> String {
        if self.passed() {
            return "\nEvery payment is in the ledger exactly once, and every replay is the original answer."
                .into();
        }
        self.findings.iter().map(|finding| format!("\nFAILED: {finding}")).collect()
    }
}

fn first<T>((payment, _): (&String, T)) -> &String {
    payment
}
