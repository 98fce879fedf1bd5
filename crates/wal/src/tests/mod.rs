//! Tests of the log, all on the simulated disk.

mod basic;
mod bytes;
mod damage;
mod full;
mod model;
mod vouch;

use std::path::Path;
use std::sync::Arc;

use ::model::StreamId;
use testkit::{SeededRandom, SimDisk};

use crate::{Damage, Error, FrameRef, Log, Options, Recovered, Recovery};

const DIR: &str = "cell/log";

fn stream(n: u8) -> StreamId {
    StreamId::from_bytes([n; 16])
}

/// Small segments, so that rotation is common.
fn small() -> Options {
    Options {
        segment_bytes_max: 700,
        frame_bytes_max: 10_000,
        streams_max: 100,
    }
}

fn recovery(disk: &SimDisk, random: &SeededRandom, options: Options) -> Result<Recovery, Error> {
    let random = Arc::new(random.clone());
    Recovery::open(Arc::new(disk.clone()), Path::new(DIR), random, options)
}

/// Everything that recovery finds, without opening the log.
fn read(disk: &SimDisk, options: Options) -> Vec<Recovered> {
    let random = SeededRandom::new(99);
    let recovery = recovery(disk, &random, options).expect("the disk has no faults");
    let found: Result<Vec<_>, _> = recovery.collect();
    found.expect("the disk has no faults")
}

fn open(disk: &SimDisk, random: &SeededRandom, options: Options) -> Log {
    let recovery = recovery(disk, random, options).expect("the disk has no faults");
    recovery.finish().expect("the disk has no faults")
}

fn append(log: &mut Log, to: StreamId, payload: &[u8]) -> Result<FrameRef, Error> {
    let reservation = log.reserve(to)?;
    log.append(reservation, payload)
}

/// Appends and commits one frame.
fn write(log: &mut Log, to: u8, payload: &[u8]) -> FrameRef {
    let place = append(log, stream(to), payload).expect("the disk has no faults");
    log.commit().expect("the disk has no faults");
    place
}

fn frames(found: &[Recovered]) -> Vec<(FrameRef, Vec<u8>)> {
    let frames = found.iter().filter_map(|item| match item {
        Recovered::Frame(place, payload) => Some((*place, payload.clone())),
        Recovered::Damage(_) | Recovered::TornTail { .. } => None,
    });
    frames.collect()
}

fn damage(found: &[Recovered]) -> Vec<Damage> {
    let damage = found.iter().filter_map(|item| match item {
        Recovered::Damage(damage) => Some(*damage),
        Recovered::Frame(..) | Recovered::TornTail { .. } => None,
    });
    damage.collect()
}

/// What is neither a frame nor nothing.
fn complaints(found: &[Recovered]) -> Vec<Recovered> {
    let complaints = found.iter().filter(|item| !item.is_frame());
    complaints.cloned().collect()
}

impl Recovered {
    fn is_frame(&self) -> bool {
        match self {
            Self::Frame(..) => true,
            Self::Damage(_) | Self::TornTail { .. } => false,
        }
    }
}
