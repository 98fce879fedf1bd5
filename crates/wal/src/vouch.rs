//! What the caller knows of the log from elsewhere: which files must be there, and who writes them.
//!
//! Each segment's header says which segments are before it, and nothing in the folder says that the
//! newest one, or the oldest, is still there. The caller keeps that outside the folder (written before
//! the first frame of a segment is acknowledged) and hands it to [`crate::Recovery::open_vouched`].

use std::fmt;

use model::Disk;

use crate::chain::{self, File};
use crate::error::{Damage, Error};
use crate::format::LogSegmentId;

/// Which files the log must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vouch {
    /// Nothing is known: what is in the folder is taken for the log.
    #[default]
    Nothing,
    /// Frames were acknowledged, and it is not known in which files: without a file that has a good
    /// header some of them are lost.
    Frames,
    /// As it stood at some commit.
    Standing(Standing),
}

/// What is to be kept of a log outside its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Number of the newest segment that has an acknowledged frame.
    pub number: u64,
    /// Its id.
    pub segment: LogSegmentId,
    /// Number of the oldest segment that is still needed: those before it may be gone.
    pub oldest: u64,
    /// Frames that were known to be lost without a name: if more are lost, that is told apart.
    pub lost: u64,
}

/// Who keeps what is vouched for, and knows whether this process may still write.
pub trait Witness: Send + Sync + fmt::Debug {
    /// Called after the sync of every commit, before it returns, and before segments are removed. What
    /// it notes must be durable on return.
    fn confirm(&self, standing: Standing) -> Result<(), Unconfirmed>;
}

/// Why a commit is not acknowledged although it was written.
#[derive(Debug)]
pub enum Unconfirmed {
    /// Another process has taken the folder over. The log is closed.
    Replaced,
    /// It could not be noted. The log goes on in a new segment, and the next commit asks again.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl Vouch {
    /// Numbers below it belong to segments that may be gone.
    pub(crate) fn oldest(self) -> u64 {
        match self {
            Self::Standing(standing) => standing.oldest,
            Self::Nothing | Self::Frames => u64::MAX,
        }
    }

    /// Leaves out of `files` what another writer began under a vouched number, marks the vouched file
    /// as one that was whole, and says what is lost if it, or its content, is not there.
    pub(crate) fn check(
        self,
        disk: &dyn Disk,
        files: &mut Vec<File>,
    ) -> Result<Option<Lost>, Error> {
        let Self::Standing(standing) = self else {
            let headless = !files.iter().any(File::has_table);
            let lost = Lost {
                file: None,
                frames: 1,
            };
            return Ok((self == Self::Frames && headless).then_some(lost));
        };
        let (number, segment) = (standing.number, standing.segment);
        let frames = standing.lost.saturating_add(1);
        let is_there = files.iter().any(|f| f.id == segment);
        if is_there {
            files.retain(|f| f.number != number || f.id == segment);
        }
        // A header of that segment or a younger one tells the rest.
        if files.iter().any(|f| f.number >= number && f.has_table()) {
            return Ok(None);
        }
        let Some(found) = files.iter_mut().find(|f| f.id == segment) else {
            let file = Some(Damage::Missing { segment });
            return Ok(Some(Lost { file, frames }));
        };
        found.was_whole();
        let has_frames = chain::has_frames(disk, found)?;
        let file = None;
        Ok((!has_frames).then_some(Lost { file, frames }))
    }
}

/// Frames of unknown streams are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The file that is gone, if its name is known.
    pub(crate) file: Option<Damage>,
    /// At least so many, with those that were lost before.
    pub(crate) frames: u64,
}
