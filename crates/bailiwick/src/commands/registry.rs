//! `registry`: the signed document of regions, geographies, services and storage rules.

use super::{configuration, exists_already, file_error, show, write_file};
use crate::cli::{Global, Registry};
use crate::client::{Ask, Client, passphrase};
use crate::failure::Failure;
use crate::{print, view};

pub(crate) fn run(global: &Global, command: Registry) -> anyhow::Result<i32> {
    match command {
        Registry::Show => {
            let client = Client::connect(global)?;
            show(global, &client.call(&Ask::get("/api/v1/registry"))?.json()?)
        }
        Registry::Verify { file } => {
            let config = configuration(global)?;
            let signed = std::fs::read(&file).map_err(|e| file_error("read", &file, e))?;
            let (key, least) = (&config.registry.operator_key, config.registry.least_version);
            let registry = ::residency::Registry::accept(&signed, key, least, None)
                .map_err(|e| Failure::new(e.code(), format!("`{}`: {e}", file.display())))?;
            let accepted = registry.accepted();
            print::out(&format!(
                "version {}, sha256 {}\n",
                accepted.version, accepted.digest
            ))?;
            Ok(0)
        }
        Registry::Accept { file } => {
            let signed = std::fs::read(&file).map_err(|e| file_error("read", &file, e))?;
            let ask = Ask {
                method: "POST",
                path: "/api/v1/registry".to_owned(),
                headers: vec![("content-type", "application/octet-stream".to_owned())],
                body: signed,
                tenant: None,
            };
            let mut all = Vec::new();
            for (region, reply) in Client::connect(global)?.call_all(&ask)? {
                let mut accepted = reply.json()?;
                if let Some(fields) = accepted.as_object_mut() {
                    fields.insert("region".to_owned(), region.into());
                }
                all.push(accepted);
            }
            let columns = [
                ("REGION", "/region"),
                ("VERSION", "/version"),
                ("DIGEST", "/digest"),
            ];
            view::list(global, &all, &columns, "no cells")
        }
        Registry::Sign {
            document,
            key,
            output,
            force,
        } => {
            if output.exists() && !force {
                return Err(exists_already(&output));
            }
            let payload = std::fs::read(&document).map_err(|e| file_error("read", &document, e))?;
            let draft = ::residency::Draft::parse(&payload)
                .map_err(|e| Failure::new(e.code(), format!("`{}`: {e}", document.display())))?;
            let (disk, name) = crate::embedded::key_disk(&key)?;
            let protection = crate::embedded::protection(passphrase(global)?.as_ref())?;
            let signer = vault::SigningKey::open_file(&*disk, &name, &protection)
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            write_file(&output, &draft.sign(&signer))?;
            print::note(&format!(
                "signed version {} as `{}`, sha256 {}",
                draft.document().version,
                output.display(),
                draft.digest()
            ));
            Ok(0)
        }
    }
}
