//! `tls make`: an authority and certificates, so that several processes can be tried without other
//! tools.
//!
//! ```text
//! DIRECTORY/authority.pem    certificate of the authority: every process believes it
//! DIRECTORY/authority.key    its key: no process needs it
//! DIRECTORY/PARTY.pem        certificate of a region's cell, or of the centre
//! DIRECTORY/PARTY.key        its key
//! ```
//!
//! A real deployment has its own authority. What it issues needs the same names, and nothing else.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use connect::Party;
use model::{Code, RegionCode, Span100ns, Ticks};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::file_error;
use super::init::restrict;
use crate::cli::Tls;
use crate::embedded::CENTRE;
use crate::failure::Failure;
use crate::machine::MachineClock;
use crate::print;

pub(crate) fn run(command: Tls) -> anyhow::Result<i32> {
    let Tls::Make {
        directory,
        regions,
        centre,
        days,
    } = command;
    let mut parties = Vec::new();
    for region in &regions {
        let code = RegionCode::new(region);
        let code = code.map_err(|e| Failure::new(Code::BadRequest, e.to_string()))?;
        parties.push((region.clone(), Party::Cell(code)));
    }
    if centre {
        parties.push((CENTRE.to_owned(), Party::Centre));
    }
    if parties.is_empty() {
        let failure = Failure::new(Code::BadRequest, "a certificate for whom?");
        return Err(failure
            .with_help("name parties: `--region eu --region uk --centre`")
            .into());
    }
    if directory.exists() && std::fs::read_dir(&directory)?.next().is_some() {
        let message = format!("`{}` exists and is not empty", directory.display());
        return Err(Failure::new(Code::Conflict, message).into());
    }
    std::fs::create_dir_all(&directory).map_err(|e| file_error("make", &directory, e))?;
    restrict(&directory)?;
    let key = KeyPair::generate()?;
    let mut params = params(Vec::new(), days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let distinguished = &mut params.distinguished_name;
    distinguished.push(DnType::CommonName, "Bailiwick authority of this directory");
    let secret = key.serialize_pem();
    let authority = CertifiedIssuer::self_signed(params, key)?;
    write(&directory.join("authority.key"), &secret)?;
    write(&directory.join("authority.pem"), &authority.pem())?;
    for (name, party) in parties {
        let key = KeyPair::generate()?;
        let mut params = self::params(vec![party.name()], days)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params
            .distinguished_name
            .push(DnType::CommonName, party.name());
        let certificate = params.signed_by(&key, &authority)?;
        let at = |ending: &str| directory.join(format!("{name}.{ending}"));
        write(&at("key"), &key.serialize_pem())?;
        write(&at("pem"), &certificate.pem())?;
        print::out(&format!("{name} {}\n", party.name()))?;
    }
    Ok(0)
}

/// Good from yesterday on, for clocks that are behind.
fn params(names: Vec<String>, days: u16) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let now = model::Clock::now(&MachineClock);
    let date = |at: Ticks| {
        let (year, month, day) = at.date();
        anyhow::Ok(rcgen::date_time_ymd(
            i32::try_from(year)?,
            u8::try_from(month)?,
            u8::try_from(day)?,
        ))
    };
    params.not_before = date(now.saturating_add(Span100ns::days(-1)))?;
    params.not_after = date(now.saturating_add(Span100ns::days(i64::from(days) + 1)))?;
    Ok(params)
}

/// A file that nobody but the owner reads, and that was not there before.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = options.open(path).map_err(|e| file_error("make", path, e));
    file?
        .write_all(text.as_bytes())
        .map_err(|e| file_error("write", path, e))
}
