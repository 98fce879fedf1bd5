//! Who may talk to whom, and what comes back.

use bytes::Bytes;
use cell::PeerError;
use hyper::Method;
use model::Code;

use super::kit::{Authority, cell, server};
use crate::{Endpoint, Error, Identity, Party};

async fn ask(
    identity: &Identity,
    to: &Party,
    at: std::net::SocketAddr,
) -> Result<Option<Bytes>, PeerError> {
    let endpoint = Endpoint::new(identity, to, &format!("https://{at}")).unwrap();
    endpoint
        .exchange(Method::POST, "/peer/v1/alerts", Bytes::from_static(b"x"))
        .await
}

#[tokio::test]
async fn both_ends_show_their_names() {
    let authority = Authority::new();
    let known = vec![cell("uk"), cell("us"), Party::Centre];
    let at = server(&authority.of(&cell("eu")), known, "200 OK", None).await;
    let answer = ask(&authority.of(&cell("uk")), &cell("eu"), at).await;
    assert_eq!(answer.unwrap().unwrap(), cell("uk").name());
}

#[tokio::test]
async fn another_regions_certificate_does_not_pass() {
    let authority = Authority::new();
    let at = server(&authority.of(&cell("us")), vec![cell("uk")], "200 OK", None).await;
    let answer = ask(&authority.of(&cell("uk")), &cell("eu"), at).await;
    assert_eq!(answer, Err(PeerError::Unreachable));
}

#[tokio::test]
async fn another_authority_is_not_believed() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let at = server(&ours.of(&cell("eu")), vec![cell("uk")], "200 OK", None).await;
    let answer = ask(&theirs.of(&cell("uk")), &cell("eu"), at).await;
    assert_eq!(answer, Err(PeerError::Unreachable));
}

#[tokio::test]
async fn a_renewed_way_shows_the_new_certificate_and_believes_the_new_authority() {
    let (old, new) = (Authority::new(), Authority::new());
    let at = server(&new.of(&cell("eu")), vec![cell("uk")], "200 OK", None).await;
    let base = format!("https://{at}");
    let way = Endpoint::new(&old.of(&cell("uk")), &cell("eu"), &base).unwrap();
    let ask = |way: Endpoint| async move {
        let body = Bytes::from_static(b"x");
        way.exchange(Method::POST, "/peer/v1/alerts", body).await
    };
    assert_eq!(ask(way.clone()).await, Err(PeerError::Unreachable));
    let other = way.clone();
    way.renew(&new.of(&cell("uk"))).unwrap();
    for way in [way, other] {
        let answer = ask(way).await.unwrap().unwrap();
        assert_eq!(answer, cell("uk").name());
    }
}

#[tokio::test]
async fn a_certificate_of_two_parties_is_nobodys() {
    let authority = Authority::new();
    let known = vec![cell("uk"), cell("us")];
    let at = server(&authority.of(&cell("eu")), known, "200 OK", None).await;
    let both = authority.identity(&[cell("uk").name(), cell("us").name()]);
    let answer = ask(&both, &cell("eu"), at).await;
    assert_eq!(answer.unwrap().unwrap(), "nobody");
    let star = authority.identity(&["*.cell.bailiwick.internal".to_owned()]);
    let answer = ask(&star, &cell("eu"), at).await;
    assert_eq!(answer.unwrap().unwrap(), "nobody");
}

#[tokio::test]
async fn a_refusal_is_its_code() {
    let authority = Authority::new();
    let identity = authority.of(&cell("eu"));
    for (body, code) in [
        ("bad_signature", Code::BadSignature),
        ("something else", Code::Internal),
    ] {
        let body = Some(body.as_bytes().to_vec());
        let at = server(&identity, vec![], "422 Unprocessable", body).await;
        let answer = ask(&authority.of(&cell("uk")), &cell("eu"), at).await;
        assert_eq!(answer, Err(PeerError::Refused(code)));
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let authority = Authority::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let answer = ask(&authority.of(&cell("uk")), &cell("eu"), at).await;
    assert_eq!(answer, Err(PeerError::Unreachable));
}

#[test]
fn addresses_are_https() {
    let authority = Authority::new();
    let identity = authority.of(&cell("uk"));
    for base in ["http://127.0.0.1:1", "127.0.0.1:1", "/x", ""] {
        let made = Endpoint::new(&identity, &cell("eu"), base);
        assert!(matches!(made, Err(Error::Address | Error::Name)), "{base}");
    }
}

#[test]
fn pem_files_are_told_apart() {
    let what = |certificate: &[u8], key: &[u8], authority: &[u8]| {
        Identity::from_pem(certificate, key, authority)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        what(b"", b"", b""),
        "no authority certificate in PEM form was found"
    );
}
