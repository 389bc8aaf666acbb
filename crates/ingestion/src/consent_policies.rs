//! Putting, finding and trying consent policies.

use kit::{Error, TenantId};
use prost::Message;
use proto::event::v1::{Context, Custom, Event, Location, event::Body};
use proto::ingestion::v1::{ConsentDefault, ConsentPolicy, ExplainConsentRequest, ExplainConsentResponse};
use proto::r#type::v1::Identifier;

use crate::app::{App, source_not_found};
use crate::directory::policy_of;
use crate::domain::consent::{self, Policy, Unanswered};
use crate::store::{consent_policies, sources};

impl App {
    /// Puts a policy of a source, or of the tenant.
    pub(crate) async fn put_policy(&self, tenant: &TenantId, wire: ConsentPolicy) -> Result<ConsentPolicy, Error> {
        consent::check_policy(&wire)?;
        self.check_source(tenant, &wire.source_id).await?;
        if Policy::new(&wire).asks() && !self.sealer.can_seal() {
            let message = "events can only wait for an answer where consent.seal_secret is configured";
            return Err(Error::failed_precondition("SEAL_SECRET_MISSING", message));
        }
        let source_id = wire.source_id.clone();
        let stored = ConsentPolicy { source_id: String::new(), version: 0, update_time: None, ..wire };
        let mut tx = self.db.begin().await?;
        let now_us = self.clock.now_us();
        let row = consent_policies::put(&mut tx, tenant, &source_id, now_us, &stored.encode_to_vec()).await?;
        tx.commit().await?;
        self.directory.forget_all();
        Ok(policy_of(&row)?)
    }

    /// Removes a policy.
    pub(crate) async fn remove_policy(&self, tenant: &TenantId, source_id: &str) -> Result<(), Error> {
        self.check_source(tenant, source_id).await?;
        let mut tx = self.db.begin().await?;
        consent_policies::remove(&mut tx, tenant, source_id, self.clock.now_us()).await?;
        tx.commit().await?;
        self.directory.forget_all();
        Ok(())
    }

    /// Returns the policy in force for a source, or for the tenant.
    pub(crate) async fn policy(&self, tenant: &TenantId, source_id: &str) -> Result<ConsentPolicy, Error> {
        self.check_source(tenant, source_id).await?;
        let found = consent_policies::find(&self.db, tenant, source_id).await?;
        Ok(found.as_ref().map(policy_of).transpose()?.unwrap_or_default())
    }

    async fn check_source(&self, tenant: &TenantId, source_id: &str) -> Result<(), Error> {
        if source_id.is_empty() || sources::find(&self.db, tenant, source_id).await?.is_some() {
            return Ok(());
        }
        Err(source_not_found())
    }

    /// Says how signals are read and decided.
    pub(crate) async fn explain_consent(
        &self,
        tenant: &TenantId,
        request: ExplainConsentRequest,
    ) -> Result<ExplainConsentResponse, Error> {
        let ExplainConsentRequest { source_id, signals, country } = request;
        let signals = signals.unwrap_or_default();
        if let Err(problem) = consent::check_signals(&signals) {
            return Err(Error::violations([("signals", problem.message)]));
        }
        if !(country.is_empty() || consent::Country::parse(&country).is_some()) {
            return Err(Error::violations([("country", "must be empty or a code of ISO 3166-1 alpha-2")]));
        }
        let policy = Policy::new(&self.policy(tenant, &source_id).await?);
        let problems = consent::read(&signals, &policy).problems.into_iter().map(str::to_owned).collect();
        let mut event = somebody(Context {
            location: Some(Location { country, ..Location::default() }),
            consent_signals: Some(signals),
            ..Context::default()
        });
        let said = consent::state(&mut event, &policy);
        let gate = consent::decide(&mut event, said, &policy, tenant);
        let consents = std::mem::take(&mut event.consents);
        let (decision, outcome) = match gate {
            None => (event.context.and_then(|context| context.consent_decision), ConsentDefault::Grant),
            Some(gate) => {
                let unanswered = match gate.unanswered {
                    Unanswered::Ask if !self.sealer.can_seal() => Unanswered::Deny,
                    unanswered => unanswered,
                };
                let basis = proto::event::v1::consent_decision::Basis::Default;
                match gate.stated {
                    Some(stated) if stated.granted => (Some(gate.decision(None)), ConsentDefault::Grant),
                    Some(_) => (Some(gate.decision(None)), ConsentDefault::Deny),
                    None => (Some(gate.decision(Some(basis))), unanswered.into()),
                }
            }
        };
        Ok(ExplainConsentResponse { consents, decision, outcome: outcome.into(), problems })
    }
}

/// An event of somebody, of a kind that needs consent.
fn somebody(context: Context) -> Event {
    Event {
        identifiers: vec![Identifier { kind: "anonymous_id".into(), value: "somebody".into() }],
        body: Some(Body::Custom(Custom {})),
        context: Some(context),
        ..Event::default()
    }
}
