use eventlog::{DeadLetterKey, dead_letter, dead_letters, remove_dead_letter, remove_dead_letters_of};

use crate::harness::{append, databases, log, records, tenant};

#[tokio::test]
async fn what_is_set_aside_can_be_listed_by_page_and_removed() {
    for db in databases().await {
        let (log, shop) = (log(&db), tenant("shop"));
        let places = append(&log, &db, &shop, records("k", 5)).await;
        let found = log.read_at(&shop, &places).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for bad in &found {
            dead_letter(&mut tx, "identity", "events", bad, "the payload is no event").await.unwrap();
        }
        // A batch that comes again sets the same records aside again.
        dead_letter(&mut tx, "identity", "events", &found[0], "still no event").await.unwrap();
        tx.commit().await.unwrap();

        let mut listed = Vec::new();
        let mut after: Option<DeadLetterKey> = None;
        loop {
            let page = dead_letters(&db, &shop, after.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            listed.extend(page);
        }
        assert_eq!(listed.len(), 5);
        assert!(listed.is_sorted_by_key(|letter| letter.key.clone()));
        let first = listed.iter().find(|letter| letter.record == found[0]).expect("it is kept whole");
        assert_eq!(first.reason, "still no event");
        assert!(dead_letters(&db, &tenant("rival"), None, 10).await.unwrap().is_empty());

        let mut tx = db.begin().await.unwrap();
        assert!(remove_dead_letter(&mut tx, &shop, &first.key).await.unwrap());
        assert!(!remove_dead_letter(&mut tx, &shop, &first.key).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(dead_letters(&db, &shop, None, 10).await.unwrap().len(), 4);

        let mut tx = db.begin().await.unwrap();
        remove_dead_letters_of(&mut tx, &shop).await.unwrap();
        tx.commit().await.unwrap();
        assert!(dead_letters(&db, &shop, None, 10).await.unwrap().is_empty());
    }
}
