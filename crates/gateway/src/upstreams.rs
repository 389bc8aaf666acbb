use kit::channel::Channel;

/// The channels to the services.
#[derive(Clone)]
pub struct Upstreams {
    /// Ingestion.
    pub ingestion: Channel,
    /// Identity.
    pub identity: Channel,
    /// Scoring.
    pub scoring: Channel,
    /// Recommendation.
    pub recommendation: Channel,
    /// Campaign.
    pub campaign: Channel,
}

impl Upstreams {
    /// Returns the channel to the service that answers a gRPC path such as
    /// `/comptoir.identity.v1.IdentityService/GetProfile`. RPCs that several services share, such as those of
    /// `comptoir.log.v1.LogService`, go to the service that `named` names.
    pub(crate) fn find(&self, path: &str, named: Option<&str>) -> Option<&Channel> {
        let area = path.strip_prefix("/comptoir.")?.split('.').next()?;
        self.by_name(if area == "log" { named? } else { area })
    }

    /// Returns the services that publish a log.
    pub(crate) fn publishers(&self) -> [(&'static str, &Channel); 3] {
        [("ingestion", &self.ingestion), ("identity", &self.identity), ("scoring", &self.scoring)]
    }

    fn by_name(&self, name: &str) -> Option<&Channel> {
        match name {
            "ingestion" => Some(&self.ingestion),
            "identity" => Some(&self.identity),
            "scoring" => Some(&self.scoring),
            "recommendation" => Some(&self.recommendation),
            "campaign" => Some(&self.campaign),
            _ => None,
        }
    }
}
