//! The starter pack: rules of our own that ship inside the program, and their tests.
//!
//! The files lie in `rules/`; a test fails when one of them is not listed here.

use crate::rule::RuleText;

/// Rules that ship with the program.
#[derive(Debug, Clone, Copy)]
pub struct Pack {
    /// Sigma rules and correlations.
    pub sigma: &'static [RuleText<'static>],
    /// Queries on a schedule.
    pub scheduled: &'static [RuleText<'static>],
    /// Tests of both, one text a rule.
    pub tests: &'static [RuleText<'static>],
}

/// The pack.
pub const fn starter_pack() -> Pack {
    Pack {
        sigma: SIGMA,
        scheduled: SCHEDULED,
        tests: TESTS,
    }
}

macro_rules! texts {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(RuleText {
            name: concat!($folder, $name, ".yml"),
            text: include_str!(concat!("../../../rules/", $folder, $name, ".yml")),
        }),+]
    };
}

#[rustfmt::skip]
const SIGMA: &[RuleText<'static>] = texts!("":
    "cloud-hiding-inbox-rule",
    "cloud-mass-download",
    "cloud-risky-app-consent",
    "email-first-contact-link-followed",
    "email-first-contact-unauthenticated-link",
    "email-link-then-script",
    "email-macro-attachment",
    "email-phish-click-allowed",
    "email-threat-delivered",
    "endpoint-browser-saves-script",
    "endpoint-credential-dump-command",
    "endpoint-discovery-burst",
    "endpoint-encoded-powershell",
    "endpoint-log-cleared",
    "endpoint-log-cleared-command",
    "endpoint-lsass-memory-access",
    "endpoint-office-starts-script-host",
    "endpoint-program-over-admin-share",
    "endpoint-ransom-note",
    "endpoint-remote-command-wmi",
    "endpoint-remote-desktop-from-internet",
    "endpoint-remote-logon-then-wmi-shell",
    "endpoint-remote-service",
    "endpoint-run-key-user-folder",
    "endpoint-script-from-download",
    "endpoint-script-host-starts-program",
    "endpoint-script-host-writes-program",
    "endpoint-shadow-copies-deleted",
    "endpoint-task-user-folder",
    "identity-brute-force-windows",
    "identity-directory-search-admins",
    "identity-mfa-fatigue",
    "identity-password-guessing",
    "identity-password-spray",
    "identity-phished-session",
    "identity-risky-sign-in",
    "identity-unfamiliar-unknown-device",
);

#[rustfmt::skip]
const SCHEDULED: &[RuleText<'static>] = texts!("scheduled/":
    "account-on-many-devices",
    "rare-privileged-app",
    "spray-then-success",
);

#[rustfmt::skip]
const TESTS: &[RuleText<'static>] = texts!("tests/":
    "0752a274-d243-4337-a5c8-3ac609998b5a",
    "0bd002b9-9a78-40bf-abe1-f1df589ca46f",
    "191f60e2-0b82-4c59-b934-07e638fd45ba",
    "1f0c3e52-7a86-4b0d-9a6b-5d7e21c48f13",
    "33518441-5058-4fa0-8b23-c1746439db2b",
    "3ba80b82-18d0-44a6-8723-926b6c57c9d1",
    "3e7a9c52-b41d-4f08-9c66-1d52f0a8e7b3",
    "4712859b-94cc-4956-9be3-5881c285ad9f",
    "4914f4d1-9695-48ef-81bf-7d5f5de1d29b",
    "4af5e1ae-e810-42b0-91b3-4963a365cc23",
    "4c08d8ac-4041-4874-84dd-c0f9bda50b45",
    "4f4e2c27-3d83-4fda-b153-05bc92275510",
    "50791c3f-9bbd-4936-b5ae-ff42487ad3c7",
    "50c1f997-f233-4284-8cba-cc0ce5807de1",
    "5283c7ad-90e3-45f7-a776-cfd684203793",
    "59b569a0-a4b4-476d-a8e7-e24cbddfc7d5",
    "6361a494-6b31-491b-8f7a-e92846960857",
    "6e6b2e26-625c-4582-b1e3-2bae3f0cd7b2",
    "74a07f58-dbf7-4d6c-a92e-9ab55cec5c84",
    "7aba8d37-3912-464f-92b7-c7515fb60d7a",
    "8d596fc3-1f02-4d6c-b5c4-8a89a54c4955",
    "96c511f5-0a19-402c-bdbc-df7202553dd0",
    "a310cfcc-687a-435e-bf6e-3305a618ea5b",
    "a593b0d5-499c-41b3-9096-f90a857d9bb1",
    "a5be9e68-9508-41c9-851b-3b99340532b6",
    "b17e0b68-88a4-45b4-965a-b342b6ec9530",
    "b40800d8-798d-432e-8de3-2392d21ee86e",
    "b45a74bd-3fa5-4aa7-9ed2-08849a0146d7",
    "b4ab4f4b-4b95-4445-be5f-9f9b4b628b04",
    "baa5277c-5152-4ddc-a340-bd06879ff108",
    "bb561488-3a7e-49a2-a59d-f17a9aec0c65",
    "c5e3a7f4-20d8-4e96-8b1c-47f06d92ab85",
    "c8fa9190-60c5-4d07-8f28-6d97b6732396",
    "cba09aa1-4612-48d0-b215-aab0b0a34e5b",
    "d752b292-d893-479e-a382-6167113de545",
    "d97df54e-63fc-4fb5-93b8-7aba712546ab",
    "f060d6b6-9ddb-41ea-9423-c37e89e9ae08",
    "f119c1e7-f1e5-4cdf-b496-1eda9e5337e1",
    "f2c3cfdb-5639-43a0-9e68-b94826a110bc",
    "f6eb0cf1-33ca-43ff-92d5-ae65b9aab332",
);
