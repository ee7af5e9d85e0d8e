//! Users whom private records are for: what they are shared and what is taken from them, by every order of steps, and
//! the organizations that they belong to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_index::{Access, Condition, Query};
use oip_node::{AccessChange, Owner, PublishError};
use oip_record::{CreatorKey, Did, NodeIdentity};
use serde_json::{Value, json};

use crate::support::{Author, TestNode, eventually, node, now_ms, put, submission, text};

/// A person with a key, who is no node.
pub(crate) struct User {
    author: Author,
    /// His key as tokens name it.
    pub public: String,
}

impl User {
    pub(crate) fn new(seed: u8) -> Self {
        let key = CreatorKey::secp256k1([seed; 32]).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(&key.creator().public_key).unwrap();
        let public = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            author: Author { key },
            public,
        }
    }

    /// A user who has named an encryption key on this node.
    pub(crate) async fn on(node: &TestNode, seed: u8) -> Self {
        let user = Self::new(seed);
        user.proves(node, seed).await;
        user
    }

    /// Names an encryption key, and proves that he has it.
    async fn proves(&self, node: &TestNode, seed: u8) {
        let key = CreatorKey::p256([seed; 32]).unwrap();
        let owner = &self.author.key.creator().public_key;
        let proof = key.sign(&oip_vault::keys::proof_bytes(owner)).unwrap();
        self.says(
            node,
            json!({"kem": "P-256", "key": key.creator().public_key, "proof": proof}),
        )
        .await;
    }

    /// Names an encryption key in a record that he signs himself.
    pub(crate) async fn names(&self, node: &TestNode, key: &str) {
        self.says(node, json!({"kem": "P-256", "key": key})).await;
    }

    async fn says(&self, node: &TestNode, said: Value) {
        let data = json!({"encryptionKey": said});
        let at_ms = now_ms();
        let version = self
            .author
            .version_of("encryptionKey", "encryption-key", data, at_ms);
        put(&mut node.client().await, version.record(at_ms)).await;
    }

    fn owner(&self) -> Owner {
        Owner::User(self.public.clone())
    }

    /// Whether he is shown the record, by DID and by search alike; a version that arrives between both is waited for.
    async fn reads(&self, node: &TestNode, did: &Did) -> bool {
        eventually("DID and search say the same", || async {
            node.indexed().await;
            let access = node.access_of(&self.public).await;
            let got = node.get_as(did, &access).await.unwrap().is_some();
            let query = Query {
                access,
                ..Query::of(Condition::did(did.to_string()))
            };
            let found = node.search(query).await.unwrap().total == 1;
            (got == found).then_some(got)
        })
        .await
    }
}

async fn change(node: &TestNode, did: &Did, share: &[&str], revoke: &[&str]) -> Result<(), String> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let change = AccessChange {
        share: names(share),
        revoke: names(revoke),
    };
    let changed = node.change_access(did, change, &Owner::Operator).await;
    changed.map(drop).map_err(|error| match error {
        PublishError::Private(error) => format!("{}: {error}", error.label()),
        other => other.to_string(),
    })
}

async fn private(node: &TestNode, readers: &[&str]) -> Did {
    let mut data = text("for some");
    data["accessControl"] = json!({"access_level": "private", "shared_with": readers});
    node.publish(submission("s", data)).await.unwrap().did
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_shared_with_later_still_reads_after_another_is_revoked() {
    let a = node(&[]).await;
    let (one, two) = (User::on(&a, 1).await, User::on(&a, 2).await);
    for (first, second) in [(&one, &two), (&two, &one)] {
        let did = private(&a, &[]).await;
        assert!(!first.reads(&a, &did).await);
        change(&a, &did, &[&first.public], &[]).await.unwrap();
        change(&a, &did, &[&second.public], &[]).await.unwrap();
        assert!(first.reads(&a, &did).await && second.reads(&a, &did).await);
        change(&a, &did, &[], &[&first.public]).await.unwrap();
        assert!(!first.reads(&a, &did).await);
        assert!(second.reads(&a, &did).await, "he is still a recipient");
        change(&a, &did, &[], &[&second.public]).await.unwrap();
        assert!(!second.reads(&a, &did).await);
        a.delete(&did).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_shares_with_one_and_revokes_another() {
    let a = node(&[]).await;
    let (one, two) = (User::on(&a, 1).await, User::on(&a, 2).await);
    let did = private(&a, &[&two.public]).await;
    assert!(two.reads(&a, &did).await);
    change(&a, &did, &[&one.public], &[&two.public])
        .await
        .unwrap();
    assert!(one.reads(&a, &did).await && !two.reads(&a, &did).await);
    change(&a, &did, &[&two.public], &[&one.public])
        .await
        .unwrap();
    assert!(two.reads(&a, &did).await && !one.reads(&a, &did).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_replaces_his_encryption_key_keeps_what_was_shared_with_him() {
    let a = node(&[]).await;
    let (one, two) = (User::on(&a, 1).await, User::on(&a, 2).await);
    let did = private(&a, &[]).await;
    change(&a, &did, &[&one.public, &two.public], &[])
        .await
        .unwrap();
    let b = node(&[&a]).await;
    let id = b.identity().0;
    eventually("the share", || async {
        change(&a, &did, &[&id], &[]).await.ok()
    })
    .await;
    one.proves(&b, 1).await;
    eventually("he reads on B", || async {
        one.reads(&b, &did).await.then_some(())
    })
    .await;
    for node in [&a, &b] {
        one.proves(node, 7).await;
        assert!(one.reads(node, &did).await);
    }
    change(&a, &did, &[], &[&two.public]).await.unwrap();
    assert!(one.reads(&a, &did).await && !two.reads(&a, &did).await);
}

/// The key that a node's statement names.
async fn encryption_key_of(node: &TestNode) -> String {
    let soul = format!("~{}/oip/node", node.identity().1);
    let mut client = node.client().await;
    let values = client.get(&soul, crate::support::PATIENCE).await.unwrap();
    let signed = values.unwrap()["statement"].to_string().replace('\\', "");
    let (_, key) = signed.split_once("\"key\":\"").unwrap();
    key.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_by_naming_the_key_of_another_or_of_a_node() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let (one, thief) = (User::on(&a, 1).await, User::new(2));
    let his = CreatorKey::p256([1; 32]).unwrap();
    // Before its owner is met there, and before anything is shared.
    for node in [&a, &b] {
        thief.names(node, &his.creator().public_key).await;
        node.access_of(&thief.public).await;
    }
    let did = private(&a, &[]).await;
    let id = b.identity().0;
    eventually("the share", || async {
        change(&a, &did, &[&one.public, &id], &[]).await.ok()
    })
    .await;
    one.proves(&b, 1).await;
    eventually("he reads on B", || async {
        one.reads(&b, &did).await.then_some(())
    })
    .await;
    assert!(one.reads(&a, &did).await);
    for node in [&a, &b] {
        let keys = [encryption_key_of(&a).await, encryption_key_of(&b).await];
        for key in keys.iter().chain([&his.creator().public_key]) {
            thief.names(node, key).await;
            assert!(!thief.reads(node, &did).await);
            // Nor with the proof of another.
            let owner = &one.author.key.creator().public_key;
            let proof = his.sign(&oip_vault::keys::proof_bytes(owner)).unwrap();
            let said = json!({"kem": "P-256", "key": key, "proof": proof});
            thief.says(node, said).await;
            assert!(!thief.reads(node, &did).await);
        }
    }
    // Whoever named his key first, he is the one who is revoked, and who stays.
    let two = User::on(&a, 3).await;
    change(&a, &did, &[&two.public], &[]).await.unwrap();
    change(&a, &did, &[], &[&two.public]).await.unwrap();
    assert!(one.reads(&a, &did).await && !thief.reads(&a, &did).await);
    let recipients = async || {
        let document = a.get_as(&did, &Access::Everything).await.unwrap();
        document.unwrap()["data"]["accessControl"]["shared_with"].clone()
    };
    assert_eq!(recipients().await.as_array().unwrap().len(), 1);
    change(&a, &did, &[], &[&one.public]).await.unwrap();
    assert!(!one.reads(&a, &did).await && !thief.reads(&a, &did).await);
    let mut client = a.client().await;
    let values = client
        .get(did.soul().as_str(), crate::support::PATIENCE)
        .await;
    let sealed = Value::from(values.unwrap().unwrap())["data"].to_string();
    let id = oip_vault::keys::EncryptionPublic::from_text(&his.creator().public_key);
    assert!(
        !sealed.contains(&id.unwrap().id()),
        "his key opens nothing any more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_whose_key_stands_in_his_own_space_is_sealed_to_and_reads() {
    let a = node(&[]).await;
    let pair = NodeIdentity::from_scalar([11; 32]).unwrap();
    // Its text, `x.y`, is the form of an `epub` too.
    let encryption = NodeIdentity::from_scalar([12; 32]).unwrap();
    let soul = gun::Soul::new(format!("~{}", pair.public())).unwrap();
    let at_ms = now_ms();
    let state = gun::State::from_millis(at_ms);
    let value = gun::Value::text(encryption.public());
    let signed =
        gun::sea::sign_value(&soul, "epub", &value, state, &pair.sea_pair().unwrap()).unwrap();
    let graph = testkit::raw::node(soul.as_str(), &[("epub", json!(signed))], at_ms);
    put(&mut a.client().await, graph).await;
    let user = User {
        author: Author::new(1),
        public: pair.public().to_owned(),
    };
    let named = private(&a, &[&user.public]).await;
    assert!(user.reads(&a, &named).await);
    a.delete(&named).await.unwrap();
    let shared = private(&a, &[]).await;
    assert!(!user.reads(&a, &shared).await);
    change(&a, &shared, &[&user.public], &[]).await.unwrap();
    assert!(user.reads(&a, &shared).await);
}

/// An organization and the list of its members, by the node's operator or a user.
async fn organization(node: &TestNode, owner: &Owner, members: &[&str]) -> String {
    let org = oip_node::Submission {
        record_type: "organization".to_owned(),
        ..submission("org", json!({"organization": {"name": "org"}}))
    };
    let did = node.publish_as(org, owner).await.unwrap().did.to_string();
    list(node, owner, &did, members).await.unwrap();
    did
}

async fn list(
    node: &TestNode,
    owner: &Owner,
    organization: &str,
    members: &[&str],
) -> Result<(), PublishError> {
    let data = json!({"organizationMembers": {"organization": organization, "members": members}});
    let list = oip_node::Submission {
        record_type: "organizationMembers".to_owned(),
        ..submission("org:members", data)
    };
    node.publish_as(list, owner).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_was_shared_with_later_still_reads_and_one_member_of_it_can_be_revoked()
 {
    let a = node(&[]).await;
    let (one, two, third) = (
        User::on(&a, 1).await,
        User::on(&a, 2).await,
        User::on(&a, 3).await,
    );
    let org = organization(&a, &Owner::Operator, &[&one.public, &two.public]).await;
    let did = private(&a, &[&third.public]).await;
    change(&a, &did, &[&org], &[]).await.unwrap();
    change(&a, &did, &[], &[&third.public]).await.unwrap();
    assert!(one.reads(&a, &did).await && two.reads(&a, &did).await);
    assert!(!third.reads(&a, &did).await);
    change(&a, &did, &[], &[&one.public]).await.unwrap();
    assert!(!one.reads(&a, &did).await && two.reads(&a, &did).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_stay_a_reader_as_a_member_is_not_revoked_in_silence() {
    let a = node(&[]).await;
    let (one, two) = (User::on(&a, 1).await, User::on(&a, 2).await);
    let org = organization(&a, &Owner::Operator, &[&one.public, &two.public]).await;
    let did = private(&a, &[&org]).await;
    for share in [&[][..], &[org.as_str()]] {
        let refused = change(&a, &did, share, &[&one.public]).await.unwrap_err();
        assert!(refused.starts_with("still-member"), "{refused}");
        assert!(refused.contains(&org) && refused.contains("revoke the organization"));
        assert!(one.reads(&a, &did).await);
    }
    // The cure that the refusal names.
    change(&a, &did, &[&two.public], &[&org]).await.unwrap();
    assert!(!one.reads(&a, &did).await && two.reads(&a, &did).await);
    // The other one.
    let did = private(&a, &[&org]).await;
    list(&a, &Owner::Operator, &org, &[&two.public])
        .await
        .unwrap();
    change(&a, &did, &[], &[&one.public]).await.unwrap();
    assert!(!one.reads(&a, &did).await && two.reads(&a, &did).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_user_makes_himself_a_member_of_anothers_organization() {
    let a = node(&[]).await;
    let (one, thief) = (User::on(&a, 1).await, User::on(&a, 2).await);
    let unlisted = oip_node::Submission {
        record_type: "organization".to_owned(),
        ..submission("org", json!({"organization": {"name": "org"}}))
    };
    let org = a.publish_as(unlisted, &one.owner()).await.unwrap().did;
    let org = org.to_string();
    let refused = list(&a, &thief.owner(), &org, &[&thief.public]).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("belongs to somebody else"), "{refused}");
    list(&a, &one.owner(), &org, &[&one.public]).await.unwrap();
    let did = private(&a, &[&org]).await;
    assert!(one.reads(&a, &did).await && !thief.reads(&a, &did).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_stood_there_before_the_organization_counts_only_if_one_owner_made_both() {
    let a = node(&[]).await;
    let (one, thief) = (User::on(&a, 1).await, User::on(&a, 2).await);
    let prefix = a.publish(submission("x", text("x"))).await.unwrap().did;
    let prefix = prefix.soul().as_str().split(':').next().unwrap().to_owned();
    let org = format!("did:gun:{prefix}:org");
    list(&a, &thief.owner(), &org, &[&thief.public])
        .await
        .unwrap();
    let unlisted = oip_node::Submission {
        record_type: "organization".to_owned(),
        ..submission("org", json!({"organization": {"name": "org"}}))
    };
    a.publish_as(unlisted, &one.owner()).await.unwrap();
    let mut data = text("for the organization");
    data["accessControl"] = json!({"access_level": "organization", "shared_with": [org]});
    match a.publish(submission("s", data)).await {
        Err(PublishError::Private(error)) => {
            assert_eq!(error.label(), "no-organization-members", "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_forgets_the_access_control_does_not_publish_a_private_record() {
    let a = node(&[]).await;
    let did = private(&a, &[]).await;
    match a.publish(submission("s", text("forgotten"))).await {
        Err(PublishError::Private(error)) => {
            assert_eq!(error.label(), "was-private", "{error}");
            assert!(error.to_string().contains("access_level public"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(a.get(&did).await.unwrap(), None);
    let mut data = text("for everyone");
    data["accessControl"] = json!({"access_level": "public"});
    assert!(!a.publish(submission("s", data)).await.unwrap().encrypted);
    let shown: Option<Value> = a.get(&did).await.unwrap();
    assert!(shown.is_some());
    // Once it is public, and after a deletion, nothing has to be said.
    a.publish(submission("s", text("again"))).await.unwrap();
    let gone = private(&a, &[]).await;
    a.delete(&gone).await.unwrap();
    a.publish(submission("s", text("anew"))).await.unwrap();
}
