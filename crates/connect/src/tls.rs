//! Who is at the other end: certificates, names, and the two TLS configurations.
//!
//! Each process holds one certificate with its name as a DNS subject alternative name:
//! `REGION.cell.bailiwick.internal` or `centre.bailiwick.internal`. The names are never looked up.

use std::sync::Arc;

use model::RegionCode;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// A process of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The cell of a region.
    Cell(RegionCode),
    /// The centre.
    Centre,
}

impl Party {
    /// The name in its certificate.
    pub fn name(&self) -> String {
        match self {
            Self::Cell(region) => format!("{region}.cell.bailiwick.internal"),
            Self::Centre => "centre.bailiwick.internal".to_owned(),
        }
    }

    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, Error> {
        ServerName::try_from(self.name()).map_err(|_| Error::Name)
    }
}

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not what it should be.
    #[error("no {what} in PEM form was found")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate, key and authority do not fit together.
    #[error("the certificate, its key and the authority do not fit together")]
    Unfit(#[source] rustls::Error),
    /// The authority's certificate cannot be one.
    #[error("the authority's certificate is not usable")]
    Authority,
    /// An address is not `https://HOST:PORT`.
    #[error("an address of another process is not `https://HOST:PORT`")]
    Address,
    /// A region's code does not make a name.
    #[error("a party's name is not a DNS name")]
    Name,
}

/// What a process shows and whom it believes.
#[derive(Debug)]
pub struct Identity {
    certificate: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: Arc<RootCertStore>,
}

impl Identity {
    /// From PEM texts: this process's certificate (with intermediates), its key, and the authority
    /// that all parties' certificates are of.
    pub fn from_pem(certificate: &[u8], key: &[u8], authority: &[u8]) -> Result<Self, Error> {
        let chain = |pem: &[u8], what| {
            let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
                .collect::<Result<_, _>>()
                .map_err(|_| Error::Pem { what })?;
            if found.is_empty() {
                return Err(Error::Pem { what });
            }
            Ok(found)
        };
        let mut roots = RootCertStore::empty();
        for root in chain(authority, "authority certificate")? {
            roots.add(root).map_err(|_| Error::Authority)?;
        }
        Ok(Self {
            certificate: chain(certificate, "certificate")?,
            key: PrivateKeyDer::from_pem_slice(key).map_err(|_| Error::Pem { what: "key" })?,
            authority: Arc::new(roots),
        })
    }

    /// For a listener: a client without a certificate of the authority is turned away.
    pub fn server(&self) -> Result<ServerConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.authority.clone(), provider.clone())
                .build()
                .map_err(|_| Error::Authority)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Unfit)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.certificate.clone(), self.key.clone_key())
            .map_err(Error::Unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// For a client that shows this process's certificate.
    pub(crate) fn client(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Unfit)?
            .with_root_certificates(self.authority.clone())
            .with_client_auth_cert(self.certificate.clone(), self.key.clone_key())
            .map_err(Error::Unfit)
    }
}

/// The one of `known` that a certificate is of; nothing if it names none of them, or several. The
/// certificate was verified against the authority before.
pub fn party_of<'a>(certificate: &CertificateDer<'_>, known: &'a [Party]) -> Option<&'a Party> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let is_of = |party: &&Party| {
        let name = party.server_name();
        name.is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    };
    let mut found = known.iter().filter(is_of);
    let party = found.next()?;
    found.next().is_none().then_some(party)
}
