//! User agents: the shipped patterns on texts of the common programs, and files that cannot be used.

use crate::{Agents, AgentsError, COMMON_AGENTS};

/// `browser major.minor.patch | system major.minor | device brand model`.
fn told(agents: &Agents, agent: &str) -> String {
    let version = |parts: &[&str]| {
        let parts: Vec<_> = parts.iter().filter(|p| !p.is_empty()).copied().collect();
        parts.join(".")
    };
    let (b, s, d) = (
        agents.browser(agent),
        agents.system(agent),
        agents.device(agent),
    );
    format!(
        "{} {} | {} {} | {} [{}] {}",
        b.family,
        version(&[&b.major, &b.minor, &b.patch]),
        s.family,
        version(&[&s.major, &s.minor, &s.patch, &s.patch_minor]),
        d.family,
        d.brand,
        d.model
    )
}

#[test]
fn the_shipped_patterns_know_the_common_programs() {
    let agents = Agents::new(COMMON_AGENTS).unwrap();
    let table = [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.68",
            "Edge 126.0.2592 | Windows 10 | Other [] ",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
            "Chrome 119.0.0 | Linux  | Other [] ",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1",
            "Mobile Safari 17.4.1 | iOS 17.4.1 | iPhone [Apple] iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox 128.0 | Mac OS X 10.15 | Mac [Apple] Mac",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.53 Mobile Safari/537.36",
            "Chrome Mobile 125.0.6422 | Android 14 | Samsung SM-S918B [Samsung] SM-S918B",
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
            "IE 11.0 | Windows 7 | Other [] ",
        ),
        (
            "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.963",
            "PowerShell 5.1.22621 | Windows 10 | Other [] ",
        ),
        ("curl/8.4.0", "curl 8.4.0 | Other  | Other [] "),
        (
            "python-requests/2.31.0",
            "python-requests 2.31.0 | Other  | Other [] ",
        ),
        (
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "bingbot 2.0 | Other  | Spider [Spider] Desktop",
        ),
        ("BAV2ROPC", "BAV2ROPC  | Other  | Other [] "),
        (
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17628; Pro)",
            "Microsoft Outlook 16.0.17628 | Windows 10 | Other [] ",
        ),
        ("", "Other  | Other  | Other [] "),
    ];
    for (agent, expected) in table {
        assert_eq!(told(&agents, agent), expected, "{agent}");
    }
}

#[test]
fn the_first_pattern_that_matches_tells() {
    let yaml = "
user_agent_parsers:
  - regex: '(Inner)Browser/(\\d+)\\.(\\d+)'
    family_replacement: 'The $1 one'
    v2_replacement: 'x'
  - regex: '(.*)Browser'
os_parsers:
  - regex: 'Box (\\w+)(?: (\\d+))?'
    os_replacement: 'Box-$1'
    os_v1_replacement: 'v$2'
device_parsers:
  - regex: 'toaster ?(\\w*)'
    regex_flag: 'i'
    device_replacement: '  Toaster $1 '
    brand_replacement: 'Kitchen'
";
    let agents = Agents::new(yaml).unwrap();
    assert_eq!(agents.patterns(), 4);
    assert_eq!(
        told(&agents, "InnerBrowser/4.2 Box seven 7 TOASTER T1"),
        "The Inner one 4.x | Box-seven v7 | Toaster T1 [Kitchen] T1"
    );
    assert_eq!(told(&agents, "OuterBrowser"), "Outer  | Other  | Other [] ");
}

#[test]
fn a_long_user_agent_is_cut_between_letters() {
    let agents = Agents::new(COMMON_AGENTS).unwrap();
    let long = format!("curl/8.4.0 {}", "é".repeat(1 << 20));
    assert_eq!(told(&agents, &long), "curl 8.4.0 | Other  | Other [] ");
}

#[test]
fn a_file_that_cannot_be_used_says_where() {
    let why = |yaml: &str| Agents::new(yaml).unwrap_err().to_string();
    let bad = "os_parsers:\n  - regex: '(a)'\n  - regex: '(b'\n";
    assert_eq!(
        why(bad),
        "entry 2 of `os_parsers`: `(b` cannot be used: unclosed group"
    );
    let group = "user_agent_parsers:\n  - regex: 'a'\n    family_replacement: 'x $1'\n";
    assert_eq!(
        why(group),
        "entry 1 of `user_agent_parsers`: `a` cannot be used: it has no group that `$1` could mean"
    );
    assert!(why("user_agent_parsers: 7").starts_with("it is not a list of patterns"));
    assert!(why("other: []").contains("it has none of `user_agent_parsers`"));
    assert!(why("").starts_with("it is not a list of patterns"));
    let large = format!(
        "# {}",
        "x".repeat(model::limits::REFERENCE_PATTERNS_BYTES_MAX)
    );
    assert!(matches!(
        Agents::new(&large),
        Err(AgentsError::TooLarge { .. })
    ));
    let many = "- regex: 'a'\n".repeat(model::limits::REFERENCE_PATTERNS_MAX + 1);
    assert!(matches!(
        Agents::new(&format!("os_parsers:\n{many}")),
        Err(AgentsError::TooMany { .. })
    ));
}
