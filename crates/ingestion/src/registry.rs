//! Making sources and write keys.

use kit::{Error, TenantId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::app::App;
use crate::config::BootstrapConfig;
use crate::domain::write_key;
use crate::store::sources::{self, SourceRow};
use crate::store::write_keys::{self, WriteKeyRow};

/// A source that is to be made; its id and time are drawn.
pub(crate) struct NewSource {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) party: i32,
    pub(crate) medium: i32,
    /// Empty when there is none.
    pub(crate) default_currency: String,
    /// The key brought along; drawn when empty.
    pub(crate) write_key: String,
    /// Makes repetitions one.
    pub(crate) request_id: Option<String>,
}

/// A source with its keys; `secret` is empty when it was made before.
pub(crate) struct Made {
    pub(crate) source: SourceRow,
    pub(crate) keys: Vec<WriteKeyRow>,
    pub(crate) secret: String,
}

impl App {
    /// Makes a source with its first write key.
    pub(crate) async fn make_source(&self, tenant: &TenantId, new: NewSource) -> Result<Made, Error> {
        if let Some(made) = self.made_before(tenant, new.request_id.as_deref()).await? {
            return Ok(made);
        }
        let request_id = new.request_id.clone();
        let secret = if new.write_key.is_empty() { write_key::draw(&mut rand::rng()) } else { new.write_key };
        let source = SourceRow {
            source_id: source_id(tenant, &new.name),
            name: new.name,
            kind: new.kind,
            party: i64::from(new.party),
            medium: i64::from(new.medium),
            default_currency: new.default_currency,
            create_us: self.clock.now_us(),
        };
        let key = self.new_key(&source.source_id, &secret);
        match self.insert(tenant, &source, &key, &secret, request_id.as_deref()).await {
            Ok(()) => {}
            Err(store::Error::Conflict(_)) => {
                // The same request may have come twice at once.
                if let Some(made) = self.made_before(tenant, request_id.as_deref()).await? {
                    return Ok(made);
                }
                return Err(self.what_is_taken(tenant, &source.name).await?);
            }
            Err(error) => return Err(error.into()),
        }
        self.directory.forget_key(&write_key::hash(&secret));
        Ok(Made { source, keys: vec![key], secret })
    }

    /// Makes another write key of a source. Returns it with its secret.
    pub(crate) async fn make_key(&self, tenant: &TenantId, source_id: &str) -> Result<(WriteKeyRow, String), Error> {
        let source = self.source(tenant, source_id).await?;
        let secret = write_key::draw(&mut rand::rng());
        let key = self.new_key(&source.source_id, &secret);
        let mut tx = self.db.begin().await?;
        write_keys::insert(&mut tx, tenant, &write_key::hash(&secret), &key).await?;
        tx.commit().await?;
        Ok((key, secret))
    }

    /// Makes the first source that the configuration names, unless the tenant has one of its name.
    pub(crate) async fn bootstrap(&self, config: &BootstrapConfig) -> Result<(), Error> {
        if config.write_key.expose().is_empty() {
            return Ok(());
        }
        let tenant = TenantId::try_from(config.tenant.as_str())?;
        if sources::find_by_name(&self.db, &tenant, &config.source).await?.is_some() {
            return Ok(());
        }
        let new = NewSource {
            name: config.source.clone(),
            kind: "site".to_owned(),
            party: 0,
            medium: 0,
            default_currency: config.default_currency.to_ascii_uppercase(),
            write_key: config.write_key.expose().clone(),
            request_id: None,
        };
        match self.make_source(&tenant, new).await {
            Ok(_) => Ok(()),
            // Another replica was first.
            Err(error) if error.reason == NAME_TAKEN => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn insert(
        &self,
        tenant: &TenantId,
        source: &SourceRow,
        key: &WriteKeyRow,
        secret: &str,
        request_id: Option<&str>,
    ) -> Result<(), store::Error> {
        let mut tx = self.db.begin().await?;
        sources::insert(&mut tx, tenant, source, request_id).await?;
        write_keys::insert(&mut tx, tenant, &write_key::hash(secret), key).await?;
        tx.commit().await
    }

    async fn made_before(&self, tenant: &TenantId, request_id: Option<&str>) -> Result<Option<Made>, Error> {
        let Some(request_id) = request_id else { return Ok(None) };
        let Some(source) = sources::find_by_request(&self.db, tenant, request_id).await? else { return Ok(None) };
        let keys = write_keys::list(&self.db, tenant, &[&source.source_id]).await?;
        Ok(Some(Made { source, keys, secret: String::new() }))
    }

    async fn what_is_taken(&self, tenant: &TenantId, name: &str) -> Result<Error, Error> {
        if sources::find_by_name(&self.db, tenant, name).await?.is_some() {
            return Ok(Error::already_exists(NAME_TAKEN, "the tenant has a source of this name"));
        }
        Ok(Error::already_exists("WRITE_KEY_TAKEN", "this write key is in use"))
    }

    fn new_key(&self, source_id: &str, secret: &str) -> WriteKeyRow {
        WriteKeyRow {
            write_key_id: self.new_id(),
            source_id: source_id.to_owned(),
            prefix: write_key::prefix(secret).to_owned(),
            create_us: self.clock.now_us(),
        }
    }

    /// Returns a UUIDv7 of the clock's time.
    fn new_id(&self) -> String {
        let millis = u64::try_from(self.clock.now_us() / 1_000).unwrap_or_default();
        let id: Uuid = uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid();
        id.to_string()
    }
}

/// Returns the id of the source that is first to bear a name: the same in every installation, so that the same input
/// gives the same events everywhere, ids included.
fn source_id(tenant: &TenantId, name: &str) -> String {
    let digest = Sha256::digest([tenant.as_str(), name].join("\0"));
    let bytes = *digest.first_chunk().expect("a digest has 32 bytes");
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

const NAME_TAKEN: &str = "SOURCE_NAME_TAKEN";
