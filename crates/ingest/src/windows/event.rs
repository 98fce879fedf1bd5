//! One Windows event, whatever form it came in.

use std::borrow::Cow;

use model::Ticks;

use super::IDENTITY_RECORD;
use crate::json::Value;

/// Who keeps a log and what its event ids mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Log {
    Sysmon,
    Security,
    System,
    PowerShell,
    PowerShellClassic,
    Defender,
    Wmi,
    Bits,
    TaskScheduler,
    Other,
}

/// One event.
#[derive(Debug)]
pub(super) struct Event<'e> {
    pub(super) log: Log,
    pub(super) channel: Cow<'e, str>,
    pub(super) id: u32,
    pub(super) computer: Cow<'e, str>,
    /// The number that the event log gave it.
    pub(super) record: Option<u64>,
    /// When it was written, by the computer's own clock; not when a shipper passed it on.
    pub(super) written: Option<Ticks>,
    /// The row's time.
    pub(super) time: Option<Ticks>,
    /// The event's data by name. In flat forms also what the shipper wrote beside it.
    pub(super) data: Vec<(Cow<'e, str>, Value<'e>)>,
    /// Members of `data` that belong to the event and not to its shipper.
    pub(super) own: Vec<bool>,
    /// `_source_fields`: a JSON object.
    pub(super) source: String,
}

impl<'e> Event<'e> {
    /// A value of the data; Windows writes `-` for one that is missing.
    pub(super) fn get(&self, name: &str) -> Option<Value<'e>> {
        let (_, value) = self.data.iter().find(|(key, _)| key == name)?;
        (!value.is_missing() && value.text != "-").then_some(*value)
    }

    /// The text of a value.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'e, str>> {
        self.get(name).map(Value::text)
    }

    /// Events that only the key distribution centre of a domain writes.
    pub(super) fn proves_controller(&self) -> bool {
        self.log == Log::Security && matches!(self.id, 4768 | 4769 | 4771)
    }

    /// What identifies the event to its source: computer, channel, record number, and when it was
    /// written, since a machine set back to an older state numbers anew. Without a number: nothing,
    /// so that two equal events stay two; the caller goes by the request and the position in it.
    pub(super) fn write_identity(&self, out: &mut Vec<u8>) {
        let Some(record) = self.record else { return };
        out.push(IDENTITY_RECORD);
        for name in [&self.computer, &self.channel] {
            out.extend_from_slice(name.to_ascii_lowercase().as_bytes());
            out.push(0);
        }
        out.extend_from_slice(&record.to_be_bytes());
        out.extend_from_slice(&self.written.map_or(-1, |t| t.0).to_be_bytes());
    }
}

impl Log {
    /// By the provider where it is unmistakable (forwarded events keep it), else by the channel.
    pub(super) fn of(provider: &str, channel: &str) -> Self {
        let provider = provider.to_ascii_lowercase();
        match provider.as_str() {
            "microsoft-windows-sysmon" => return Self::Sysmon,
            "microsoft-windows-security-auditing" => return Self::Security,
            "microsoft-windows-powershell" | "powershellcore" => return Self::PowerShell,
            "powershell" => return Self::PowerShellClassic,
            "microsoft-windows-windows defender" => return Self::Defender,
            "microsoft-windows-wmi-activity" => return Self::Wmi,
            "microsoft-windows-bits-client" => return Self::Bits,
            "microsoft-windows-taskscheduler" => return Self::TaskScheduler,
            _ => {}
        }
        let channel = channel.to_ascii_lowercase();
        let name = channel.split('/').next().unwrap_or_default();
        match name {
            "microsoft-windows-sysmon" => Self::Sysmon,
            // Another provider's events in the security log: 1102 is the event log's own.
            "security" => Self::Security,
            "system" => Self::System,
            "microsoft-windows-powershell" | "powershellcore" => Self::PowerShell,
            "windows powershell" => Self::PowerShellClassic,
            "microsoft-windows-windows defender" => Self::Defender,
            "microsoft-windows-wmi-activity" => Self::Wmi,
            "microsoft-windows-bits-client" => Self::Bits,
            "microsoft-windows-taskscheduler" => Self::TaskScheduler,
            _ => Self::Other,
        }
    }
}
