//! `DeviceEvents`: what a sensor reports besides processes, files, connections and logons.
//!
//! One builder for every `ActionType`; what an event has no value for is missing. Name look-ups,
//! the most frequent of them, have a function of their own in `endpoint`.

use model::Ticks;

use crate::people::Account;
use crate::rows::endpoint::{Process, initiating};
use crate::stage::Stage;

/// What an event is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// `FileName` … `FileSize` as a fragment, as programs have it.
    pub(crate) file: Option<&'a str>,
    pub(crate) account: Option<&'a Account>,
    /// A process that something is done to, or that is made.
    pub(crate) process: Option<&'a Process<'a>>,
    /// JSON text of an object.
    pub(crate) additional: &'a str,
}

impl Stage<'_> {
    /// `DeviceEvents`: `by` did `action` at machine `device`.
    pub(crate) fn device_event(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        action: &str,
        about: &About<'_>,
    ) {
        self.begin_device(at, device, action);
        let row = &mut self.row;
        row.text("AdditionalFields", about.additional);
        match about.file {
            Some(file) => row.raw(file),
            None => row
                .missing_text(&["FileName", "FolderPath", "SHA1", "SHA256", "MD5"])
                .missing(&["FileSize"]),
        };
        match about.account {
            Some(account) => row.raw(&account.as_short),
            None => row.missing_text(&["AccountDomain", "AccountName", "AccountSid"]),
        };
        match about.process {
            Some(process) => row
                .number("ProcessId", process.pid.into())
                .text("ProcessCommandLine", &process.command)
                .time("ProcessCreationTime", process.created)
                .number("LogonId", process.logon_id),
            None => row
                .missing(&["ProcessId", "ProcessCreationTime", "LogonId"])
                .missing_text(&["ProcessCommandLine"]),
        };
        row.missing_text(&[
            "RemoteUrl",
            "RemoteDeviceName",
            "ProcessTokenElevation",
            "RegistryKey",
            "RegistryValueName",
            "RegistryValueData",
            "RemoteIP",
            "LocalIP",
            "FileOriginUrl",
            "FileOriginIP",
            "ProcessRemoteSessionDeviceName",
            "ProcessRemoteSessionIP",
        ])
        .missing(&[
            "RemotePort",
            "LocalPort",
            "CreatedProcessSessionId",
            "IsProcessRemoteSession",
        ])
        .number("InitiatingProcessLogonId", by.logon_id);
        initiating(row, by, false);
        self.emit("DeviceEvents");
    }
}
