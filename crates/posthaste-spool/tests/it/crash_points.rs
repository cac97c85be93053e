//! A fixed script, ended at every single operation: by a crash, with and without the power, and by each error; and every
//! sort of operation failing until the disk works again. The model's oracle judges.
//!
//! `POSTHASTE_SPOOL_STEP=1` takes every operation in a debug build, too.

use posthaste_spool::{Fault, Operation};

use crate::{model::World, support::env, trouble::ERRORS};

/// A spool whose bounds make a few segments of the script. Not a multiple of four: it survives power cuts.
const SEED: u64 = 7;

fn script(world: &mut World) {
    for _ in 0..3 {
        for _ in 0..4 {
            world.add();
        }
        world.letter();
        world.ack_some();
        world.turn(1_500);
        world.sync();
    }
}

/// Operations of the script, those of opening left out.
fn operations() -> std::ops::Range<u64> {
    let mut world = World::new(SEED, false);
    let start = world.faulty.operations();
    script(&mut world);
    let end = world.faulty.operations();
    assert!(end - start > 100, "the script does something: {}", end - start);
    start..end
}

fn step() -> usize {
    usize::try_from(env("POSTHASTE_SPOOL_STEP", if cfg!(debug_assertions) { 13 } else { 1 })).expect("small")
}

#[test]
fn a_crash_at_any_operation_keeps_the_promises() {
    for number in operations().step_by(step()) {
        for (power, torn, dice) in
            [(false, 0, 0), (false, 700, 0), (true, 0, 1), (true, 700, 2), (true, 5_000, 3)]
        {
            println!("crash at {number}, {torn} bytes written, power cut: {power}, dice {dice}");
            let mut world = World::new(SEED, false);
            world.faulty.crash_at(number, torn);
            script(&mut world);
            world.die(power, number * 31 + dice);
            world.open();
            world.settle_down();
            world.drain();
        }
    }
}

#[test]
fn an_error_at_any_operation_keeps_the_promises() {
    for number in operations().step_by(step()) {
        for error in ERRORS {
            println!("fail {number} with {error:?}");
            let mut world = World::new(SEED, false);
            world.faulty.fail_at(number, error);
            script(&mut world);
            world.settle_down();
            world.die(true, number);
            world.open();
            world.drain();
        }
    }
}

#[test]
fn an_operation_that_fails_until_the_disk_works_again_keeps_the_promises() {
    use Operation::{
        Allocate, IsAt, List, Open, OpenFolder, Read, Remove, Rename, Size, Space, Sync, SyncFolder, Write,
    };
    let operations =
        [Allocate, IsAt, List, Open, OpenFolder, Read, Remove, Rename, Size, Space, Sync, SyncFolder, Write];
    for operation in operations {
        for error in [Fault::EIO, Fault::ENOSPC, Fault::EROFS] {
            for power in [false, true] {
                println!("{operation:?} fails with {error:?}, then power cut: {power}");
                let mut world = World::new(SEED, false);
                script(&mut world);
                world.faulty.fail_always(operation, error);
                script(&mut world);
                world.settle_down();
                world.faulty.fail_always(operation, error);
                script(&mut world);
                world.die(power, 5);
                world.open();
                world.drain();
            }
        }
    }
}
