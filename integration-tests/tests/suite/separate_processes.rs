//! What comes out does not depend on how the services run.

use comptoir_integration_tests::{Clustered, Embedded, Engine, Picture, Subject, scenario};
use kit::Error;

/// Lives through the scenario and takes the picture.
async fn picture(subject: &impl Subject) -> Result<Picture, Error> {
    let world = scenario::world();
    let shop = scenario::set_up(subject, &world).await?;
    scenario::live(subject, &shop, &world).await?;
    Picture::take(&shop.api, &subject.post().all()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn six_processes_come_to_what_one_process_comes_to() -> anyhow::Result<()> {
    let embedded = Embedded::start(Engine::Sqlite, scenario::start()).await?;
    let in_one_process = picture(&embedded).await?;
    embedded.stop().await?;

    let clustered = Clustered::start(Engine::best(), scenario::start()).await?;
    let in_six_processes = picture(&clustered).await?;
    clustered.stop().await?;

    for section in ["profiles", "scores", "matrix", "orders", "segments", "recommendations", "messages", "mails"] {
        assert!(in_one_process.count(section) > 0, "there is nothing to compare in {section}");
    }
    in_one_process.assert_same(&in_six_processes, "one process and six differ");
    Ok(())
}
