//! The registry of stable codes: what the API, the command line and rejects files say went wrong.
//!
//! A code never changes its meaning and is never reused. KQL diagnostics (`KQL0207`) have a
//! registry of their own in `kql`; this one covers everything else.
//! `docs/reference/codes.md` is generated from the table below.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($(#[doc = $doc:literal] $variant:ident = $text:literal, $status:literal;)*) => {
        /// Why something was refused.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $doc] #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// All codes, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code that clients see as `text`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|c| c.as_str() == text)
            }

            /// The code as clients see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status of an answer whose whole cause this is.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One sentence for the reference page.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $doc.trim_ascii(),)* }
            }
        }
    };
}

codes! {
    // Who.
    /// No credential was given, or it is unknown, expired or revoked.
    Unauthenticated = "unauthenticated", 401;
    /// The credential is good but its scope does not allow this.
    Denied = "denied", 403;
    /// Nothing here that this credential may know of.
    NotFound = "not_found", 404;
    /// The credential belongs to another region; the answer names it.
    WrongRegion = "wrong_region", 421;

    // Requests.
    /// The request is not of the documented form.
    BadRequest = "bad_request", 400;
    /// The method is not one of this route.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The state of the thing does not allow this.
    Conflict = "conflict", 409;
    /// The request body is larger than the named limit.
    TooLarge = "too_large", 413;
    /// The content type or encoding is not one that this route takes.
    UnsupportedMedia = "unsupported_media", 415;
    /// The decoded body grew beyond the named limit.
    DecompressionBomb = "decompression_bomb", 413;
    /// The compressed body is cut short or damaged.
    DamagedCompression = "damaged_compression", 400;
    /// The page token is not one of ours, or is of another list.
    BadPageToken = "bad_page_token", 400;
    /// Too much is waiting; try again after the stated time.
    Busy = "busy", 429;
    /// Detection has not kept up with what was stored; try again after the stated time.
    DetectionBehind = "detection_behind", 429;

    // Records.
    /// The text is not JSON.
    MalformedJson = "malformed_json", 422;
    /// The record is not a JSON object of the expected shape.
    MalformedRecord = "malformed_record", 422;
    /// The record nests deeper than the named limit.
    TooDeep = "too_deep", 422;
    /// The record is longer than the named limit.
    RecordTooLarge = "record_too_large", 422;
    /// More records came in one request than the named limit; these were not read.
    TooManyRecords = "too_many_records", 422;
    /// The record's category names no table.
    BadCategory = "bad_category", 422;
    /// The envelope carries a tenant id that is not its source's, or none where one is expected.
    TenantMismatch = "tenant_mismatch", 422;
    /// The row's service is not among those that its source declares.
    ServiceNotDeclared = "service_not_declared", 422;
    /// A table outside the schema came from a source with several services.
    ServiceAmbiguous = "service_ambiguous", 422;
    /// No deployed region satisfies the service's storage rule for this tenant.
    ServiceRefused = "service_refused", 422;
    /// The event's time is missing or cannot be read.
    BadTime = "bad_time", 422;
    /// The tenant already has the named number of tables outside the schema.
    TableQuota = "table_quota", 422;
    /// The record of the event log file is damaged.
    DamagedRecord = "damaged_record", 422;
    /// The file is not of the stated format.
    BadFormat = "bad_format", 422;

    // Detection and the links between cells.
    /// The detection rule has errors; each is listed.
    BadRule = "bad_rule", 400;
    /// The process of another region, or the centre, cannot be reached.
    PeerUnreachable = "peer_unreachable", 503;

    // Hunting.
    /// The query has errors; each is listed with its place.
    BadQuery = "bad_query", 400;
    /// The query's tables rest in several geographies.
    SeveralGeographies = "several_geographies", 422;
    /// The query ran longer than the named limit.
    HuntTimeout = "hunt_timeout", 504;
    /// The query could not be read and planned in the time there is for it; a shorter one can.
    HuntPlanning = "hunt_planning", 422;
    /// The query needs more memory or temporary space than the named limit.
    HuntResources = "hunt_resources", 422;
    /// The query was cancelled.
    HuntCancelled = "hunt_cancelled", 499;

    // Provisioning and documents.
    /// The document's signature does not verify under the pinned key.
    BadSignature = "bad_signature", 422;
    /// The document's version is older than one already accepted, or than the pinned minimum.
    OldVersion = "old_version", 409;
    /// The document is not well-formed or contradicts itself.
    BadDocument = "bad_document", 422;
    /// The country is not in the registry.
    UnknownCountry = "unknown_country", 422;
    /// The geography is not in the registry or has no deployed region.
    UnknownGeography = "unknown_geography", 422;
    /// The tenant's placement is fixed: its first record has arrived.
    PlacementFixed = "placement_fixed", 409;
    /// A setting of the configuration is not valid.
    BadConfig = "bad_config", 422;

    // What leaves a cell.
    /// A value is of a column, or in a form, that the egress allow-list does not have.
    NotAllowed = "not_allowed", 422;
    /// The allow-list that a batch was made under is newer than the one here, or is another.
    OtherAllowList = "other_allow_list", 409;
    /// The centre has another batch under this id, from an earlier try; this one is not counted.
    AlreadyReceived = "already_received", 409;
    /// No linkage secret of this epoch was imported into the key ring.
    LinkageMissing = "linkage_missing", 503;

    // The machine.
    /// The disk is full; nothing of this request was stored.
    DiskFull = "disk_full", 507;
    /// The log could not be made durable; the cell must be restarted.
    LogPoisoned = "log_poisoned", 503;
    /// The tenant's part of the log is damaged; other tenants are served.
    LogDamaged = "log_damaged", 503;
    /// A stored file is damaged or not the one the catalogue names.
    SegmentDamaged = "segment_damaged", 503;
    /// The key ring does not open with this passphrase, or lacks the key.
    WrongKey = "wrong_key", 503;
    /// The tenant's keys or documents do not open; other tenants are served.
    TenantDamaged = "tenant_damaged", 503;
    /// Another process owns the data directory.
    DirectoryLocked = "directory_locked", 503;
    /// A file is of a newer format than this program reads.
    NewerFormat = "newer_format", 503;
    /// The catalogue could not be read or written.
    CatalogueFailed = "catalogue_failed", 503;
    /// No answer came from the address.
    Unreachable = "unreachable", 503;
    /// A file of the user's cannot be read or written.
    FileFailed = "file_failed", 422;
    /// Something failed that should not have; the log has the request id.
    Internal = "internal", 500;
    /// The cell is shutting down.
    ShuttingDown = "shutting_down", 503;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
