//! ATT&CK names in a rule's tags: tactics as `AlertInfo.Category` writes them, technique ids, and
//! the ids that changed between versions 18 and 19.
//!
//! A rule keeps the ids it was written with; [`current`] says what they are called now.

/// `AlertInfo.Category` of a rule that names no tactic.
pub(crate) const NO_TACTIC: &str = "SuspiciousActivity";

/// The tactic of a tag such as `attack.initial-access`, in the form that `AlertInfo.Category` has.
/// Version 19 split defence evasion into two tactics that the hunting schema has no names for.
pub(crate) fn tactic(tag: &str) -> Option<&'static str> {
    let name = tag.get(..7).filter(|p| p.eq_ignore_ascii_case("attack."));
    let word = name.and_then(|_| tag.get(7..))?.replace('_', "-");
    Some(match word.to_ascii_lowercase().as_str() {
        "reconnaissance" => "Reconnaissance",
        "resource-development" => "ResourceDevelopment",
        "initial-access" => "InitialAccess",
        "execution" => "Execution",
        "persistence" => "Persistence",
        "privilege-escalation" => "PrivilegeEscalation",
        "defense-evasion" | "stealth" | "defense-impairment" => "DefenseEvasion",
        "credential-access" => "CredentialAccess",
        "discovery" => "Discovery",
        "lateral-movement" => "LateralMovement",
        "collection" => "Collection",
        "command-and-control" => "CommandAndControl",
        "exfiltration" => "Exfiltration",
        "impact" => "Impact",
        _ => return None,
    })
}

/// The categories that an alert may have: the tactics and what an untagged rule gets.
pub(crate) const CATEGORIES: &[&str] = &[
    "Reconnaissance",
    "ResourceDevelopment",
    "InitialAccess",
    "Execution",
    "Persistence",
    "PrivilegeEscalation",
    "DefenseEvasion",
    "CredentialAccess",
    "Discovery",
    "LateralMovement",
    "Collection",
    "CommandAndControl",
    "Exfiltration",
    "Impact",
    "Malware",
    "Ransomware",
    "UnwantedSoftware",
    NO_TACTIC,
];

/// The category of the list that a text is, letters alone counting, upper and lower case alike; what
/// an untagged rule gets if it is none. Products have words of their own.
pub fn category(text: &str) -> &'static str {
    let letters = |t: &str| -> String {
        let letters = t.chars().filter(char::is_ascii_alphabetic);
        letters.map(|c| c.to_ascii_lowercase()).collect()
    };
    let wanted = letters(text);
    let mut known = CATEGORIES.iter().copied();
    known.find(|c| letters(c) == wanted).unwrap_or(NO_TACTIC)
}

/// The technique of a tag such as `attack.t1566.002`, or of a bare id, upper case.
pub(crate) fn technique(tag: &str) -> Option<String> {
    let word = match tag.get(..7) {
        Some(prefix) if prefix.eq_ignore_ascii_case("attack.") => tag.get(7..)?,
        _ => tag,
    };
    is_technique(word).then(|| word.to_ascii_uppercase())
}

/// Whether a text is a technique id: `T` and four digits, and a dot and three for a part of one.
pub fn is_technique(text: &str) -> bool {
    let mut parts = text.split('.');
    let main = parts.next().unwrap_or_default();
    let number = main.strip_prefix(['T', 't']);
    let digits = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
    let sub = parts.next();
    number.is_some_and(|n| digits(n, 4))
        && sub.is_none_or(|s| digits(s, 3))
        && parts.next().is_none()
}

/// What a technique of an older ATT&CK is called in version 19; others stay as they are.
pub fn current(technique: &str) -> &str {
    REVOKED
        .iter()
        .find(|(old, _)| old.eq_ignore_ascii_case(technique))
        .map_or(technique, |(_, new)| new)
}

/// Ids that version 19 revoked, and by what.
const REVOKED: &[(&str, &str)] = &[
    ("T1562", "T1685"),
    ("T1562.001", "T1685"),
    ("T1562.002", "T1685.001"),
    ("T1562.003", "T1690"),
    ("T1562.004", "T1686"),
    ("T1562.006", "T1685"),
    ("T1562.007", "T1686.001"),
    ("T1562.008", "T1685.002"),
    ("T1562.009", "T1688"),
    ("T1562.010", "T1689"),
    ("T1562.011", "T1685.003"),
    ("T1562.012", "T1685.004"),
    ("T1562.013", "T1686.002"),
    ("T1070.001", "T1685.005"),
    ("T1070.002", "T1685.006"),
    ("T1656", "T1684.001"),
    ("T1672", "T1684.002"),
    ("T1574.002", "T1574.001"),
    ("T1547.011", "T1647"),
];
