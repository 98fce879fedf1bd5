//! What hunts read beside the rows: files of the operator, from the configuration to an answer.

use serde_json::json;
use testkit::PlaceValue as Value;

use crate::support::{Site, Tenant};

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn database() -> Vec<u8> {
    let names = Value::Map(vec![("en", Value::Text("Northland"))]);
    let country = Value::Map(vec![("country", Value::Map(vec![("names", names)]))]);
    testkit::places("GeoLite2-City", &[(0xc000_0200, 120, country)])
}

const FEED: &str = "https://feeds.example/bad.csv";
const ASKED: &str = r#"
    externaldata(ip:string, why:string) ["https://feeds.example/bad.csv"] with (format = "csv", ignoreFirstRecord = true)
    | project ip, why, country = tostring(geo_info_from_ip_address(ip).country),
        agent = tostring(parse_user_agent("curl/8.4.0", "browser").Browser.Family)
    | sort by ip asc"#;

#[test]
fn files_of_the_operator_answer_hunts() {
    let site = Site::init(&["eu"]);
    // `init` lays patterns of user agents down, and nothing else.
    let plain = std::fs::read_to_string(site.config()).unwrap();
    assert!(
        plain.contains("user_agents = \"user-agents.yaml\""),
        "{plain}"
    );
    std::fs::write(site.root().join("places.mmdb"), database()).unwrap();
    let feed = site.root().join("bad.csv");
    std::fs::write(&feed, "ip,why\n192.0.2.7,first\n198.51.100.1,second\n").unwrap();
    let more = plain.replace("[hunting]\n", "[hunting]\nplaces = \"places.mmdb\"\n");
    let external = |pin: &str| {
        format!("{more}\n[[hunting.external]]\naddress = \"{FEED}\"\nfile = \"bad.csv\"\n{pin}")
    };
    std::fs::write(site.config(), external("")).unwrap();
    let check = site.run(&["config", "check"]);
    assert!(check.status.success(), "{}", said(&check));

    let server = site.serve();
    let operator = server.client("eu", &site.operators["eu"]);
    let tenant = Tenant::provision(&operator, "IE", &["endpoint"]);
    let client = server.client("eu", &tenant.token);
    let first = json!(["192.0.2.7", "first", "Northland", "curl"]);
    let second = json!(["198.51.100.1", "second", "", "curl"]);
    assert_eq!(json!(client.hunt(ASKED)), json!([first, second]));
    // A feed that was replaced is read anew.
    std::fs::write(&feed, "ip,why\n192.0.2.7,again\n").unwrap();
    let again = json!(["192.0.2.7", "again", "Northland", "curl"]);
    assert_eq!(json!(client.hunt(ASKED)), json!([again]));
    // One that is gone is said so, and one that nobody listed is refused.
    std::fs::remove_file(&feed).unwrap();
    let send = |query: &str| {
        let body = json!({"query": query}).to_string();
        let sent = client.send("POST", "/api/v1/hunt", body.as_bytes());
        let (status, answer) = sent.unwrap();
        (status, answer.to_string())
    };
    let (status, text) = send(ASKED);
    assert!(
        status >= 400 && text.contains("the file cannot be read"),
        "{status} {text}"
    );
    let (status, text) = send(&ASKED.replace("bad.csv", "other.csv"));
    assert!(
        status == 400 && text.contains("operator's list"),
        "{status} {text}"
    );
    drop(server);

    // What is wrong with a file is said by the check, and keeps the process from starting.
    std::fs::write(&feed, "ip,why\n").unwrap();
    let pin = format!("sha256 = \"{}\"\n", "0".repeat(64));
    std::fs::write(site.config(), external(&pin)).unwrap();
    std::fs::write(site.root().join("places.mmdb"), "no database").unwrap();
    let broken = "os_parsers:\n  - regex: '(a'\n";
    std::fs::write(site.root().join("user-agents.yaml"), broken).unwrap();
    let check = site.run(&["config", "check"]);
    assert_eq!(check.status.code(), Some(2));
    let text = said(&check);
    for expected in [
        "user-agents.yaml`: entry 1 of `os_parsers`: `(a` cannot be used: unclosed group",
        "places.mmdb`: it is not a MaxMind DB",
        "the file is not the one that was pinned",
        "has 3 problem(s)",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let list = site.run(&["tenant", "list"]);
    assert!(
        !list.status.success() && said(&list).contains("user-agents.yaml"),
        "{}",
        said(&list)
    );
    std::fs::write(site.config(), external("sha256 = \"12\"\n")).unwrap();
    let check = site.run(&["config", "check"]);
    assert!(
        said(&check).contains("is not 64 hexadecimal digits"),
        "{}",
        said(&check)
    );
}
