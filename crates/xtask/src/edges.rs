//! Which crate may use which. To add an edge, add it here and say why in the commit.
//!
//! The table is the architecture's, crates that do not exist yet included, so that each finds its
//! place waiting.

/// A crate and those of ours that it may use as normal or build dependencies.
///
/// Beyond these, tests may use `testkit` and whatever is reachable from the crate anyway.
pub(crate) const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("crypto", &[]),
    ("wal", &["model"]),
    ("access", &["model"]),
    ("kql", &["model"]),
    ("incident", &["model"]),
    ("rows", &["model"]),
    ("residency", &["model", "crypto"]),
    ("vault", &["model", "crypto"]),
    ("ledger", &["model", "crypto"]),
    ("ingest", &["model", "rows"]),
    ("detect", &["model", "rows"]),
    ("pseudonym", &["model", "rows", "residency", "crypto"]),
    (
        "store",
        &[
            "model",
            "crypto",
            "access",
            "rows",
            "residency",
            "vault",
            "wal",
            "ledger",
        ],
    ),
    ("reference", &["model"]),
    // `crypto` for `hash_sha256()` alone.
    (
        "query",
        &[
            "model",
            "crypto",
            "access",
            "rows",
            "kql",
            "store",
            "reference",
        ],
    ),
    (
        "cell",
        &[
            "model",
            "crypto",
            "access",
            "rows",
            "residency",
            "ingest",
            "detect",
            "incident",
            "pseudonym",
            "vault",
            "ledger",
            "store",
        ],
    ),
    (
        "centre",
        &[
            "model",
            "crypto",
            "access",
            "rows",
            "residency",
            "vault",
            "ledger",
            "store",
        ],
    ),
    ("api", &["model", "access", "rows", "kql", "cell", "centre"]),
    // `crypto` for the public keys that are configured with each address.
    ("connect", &["model", "crypto", "access", "rows", "cell"]),
    ("bailiwick", &["*"]),
    ("generate", &["model"]),
    ("inspect", &["model", "crypto", "vault"]),
    ("oracle", &["kql", "model"]),
    ("testkit", &["model"]),
    ("evaluate", &["*"]),
    ("xtask", &["model"]),
];

/// Edges that only tests have, beyond `testkit` and what is reachable anyway.
pub(crate) const TESTS_MAY_USE: &[(&str, &[&str])] = &[
    ("query", &["oracle"]),
    // From rows to the snapshot: the tests walk the whole way, the libraries cannot.
    ("pseudonym", &["vault", "centre"]),
    // Rules are tested on the rows that real events make.
    ("detect", &["ingest"]),
    // The walker's tests need something to walk: a real store writes it.
    (
        "inspect",
        &["access", "centre", "residency", "rows", "store", "wal"],
    ),
];

/// A library, named by prefix if it ends in `*`, and the crates that alone may name it.
pub(crate) const NAMED_ONLY_BY: &[(&str, &[&str])] = &[
    ("arrow*", &["rows", "inspect"]),
    ("axum*", &["api"]),
    ("cedar-policy*", &["access"]),
    ("clap*", &["bailiwick"]),
    ("datafusion*", &["query"]),
    ("evtx", &["ingest"]),
    ("indicatif", &["bailiwick"]),
    // DataFusion reads through this crate's trait; `query` fills it with `store`'s reader.
    ("object_store", &["store", "query"]),
    // `inspect` reads what `store` wrote with code of its own: that is its purpose.
    ("parquet", &["store", "inspect"]),
    // The centre has a database of its own, with nothing of a cell in it.
    ("sqlx*", &["store", "inspect", "centre"]),
    // What an operator supplies for look-ups is read in one place.
    ("maxminddb", &["reference"]),
    ("ua-parser", &["reference"]),
    // What a registrable domain is, is decided in one place.
    ("idna", &["pseudonym"]),
    ("psl", &["pseudonym"]),
    ("rsigma*", &["detect"]),
    // TLS is spoken where bytes come in and where they go out; certificates are made by one command.
    ("hyper*", &["api", "connect"]),
    ("rustls*", &["api", "connect"]),
    ("tokio-rustls", &["api"]),
    ("rcgen", &["bailiwick"]),
    ("tonic*", &["api"]),
    ("utoipa*", &["api"]),
    // Primitives are reached through `crypto`; making keys and signatures is `vault`'s.
    ("argon2", &["vault"]),
    ("ed25519-dalek", &["crypto", "vault"]),
    ("hkdf", &["crypto"]),
    ("hmac", &["crypto"]),
    ("ring", &["crypto"]),
    ("sha2", &["crypto"]),
    // The runtime is made in `bailiwick` alone; the others use its traits and channels.
    (
        "tokio",
        &[
            "bailiwick",
            "api",
            "store",
            "query",
            "cell",
            "centre",
            "connect",
            "evaluate",
        ],
    ),
];

/// Libraries of [`NAMED_ONLY_BY`] that any crate's tests may name.
pub(crate) const TESTS_MAY_NAME: &[&str] =
    &["ed25519-dalek", "rcgen", "rustls", "tokio", "tokio-rustls"];

/// From a crate (`*`: from every one but the exceptions) to a package, over normal dependencies of
/// any length: such a path must not exist.
pub(crate) const MUST_NOT_REACH: &[NoPath] = &[
    NoPath {
        from: "centre",
        except: &[],
        to: "pseudonym",
    },
    NoPath {
        from: "centre",
        except: &[],
        to: "ingest",
    },
    NoPath {
        from: "centre",
        except: &[],
        to: "cell",
    },
    NoPath {
        from: "*",
        except: &["query", "bailiwick", "evaluate"],
        to: "datafusion*",
    },
    NoPath {
        from: "inspect",
        except: &[],
        to: "store",
    },
    // One implementation of TLS and of the primitives.
    NoPath {
        from: "*",
        except: &[],
        to: "openssl-sys",
    },
    NoPath {
        from: "*",
        except: &[],
        to: "aws-lc-sys",
    },
];

/// See [`MUST_NOT_REACH`].
#[derive(Debug)]
pub(crate) struct NoPath {
    pub(crate) from: &'static str,
    pub(crate) except: &'static [&'static str],
    pub(crate) to: &'static str,
}
