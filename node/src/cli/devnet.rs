//! `stayfound devnet`: a cluster on this machine that shows what stayfound is for.

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use stayfound_core::cluster::OperatorIndex;
use tokio::time::timeout;

use super::{Failure, stop_requested};

mod net;
mod screen;
mod strangers;

use net::{Lack, Net};
use screen::Screen;
use strangers::Strangers;

/// The operator that moves.
const MOVER: OperatorIndex = OperatorIndex(2);
/// The operator that loses its data.
const LOSER: OperatorIndex = OperatorIndex(3);
/// The operator that loses its data when all move.
const LOSER_OF_ALL: OperatorIndex = OperatorIndex(1);
/// How many nodes of no cluster join.
const STRANGERS: usize = 20;
/// How long they are given.
const JOIN_WITHIN: Duration = Duration::from_secs(15);
/// How long the mesh is given to heal, while anybody is where it was.
const HEAL_WITHIN: Duration = Duration::from_secs(8);
/// How long when nobody is: a search that comes too early is repeated after 5 s.
const SEARCH_WITHIN: Duration = Duration::from_secs(20);
/// How many things that are lacking are told at most.
const LACKS_MAX: usize = 12;
/// How long people are given to look at the table before the next thing happens.
const LOOK: Duration = Duration::from_secs(2);
/// How often the table is drawn anew, so that ages in it are right.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Run a cluster on this machine: let one operator move, another lose its data, and then all move at
/// once, and watch the others follow.
///
/// The keys and the lock are made on the spot, in a temporary directory that is removed at the
/// end. The nodes are real: QUIC on loopback, a database each. At first each knows the others'
/// addresses; when one moves, nobody is told. When all have moved, each knows but a boot node, which
/// strangers have joined: discv5 must find the others.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// How many operators
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=32))]
    operators: u8,
    /// Operator i listens at this UDP port + i, and at higher ports after its move. Without it
    /// the system chooses free ports
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_400))]
    base_port: Option<u16>,
    /// Keep the cluster running until Ctrl-C
    #[arg(long)]
    stay: bool,
}

const EXAMPLES: &str = "\
Examples:
  stayfound devnet
  stayfound devnet --operators 7 --base-port 16000 --stay

Exit codes: 0 the mesh healed each time; 1 it did not; 2 the command line is not as it must be,
or a port is in use.";

/// What was measured of one healing.
struct Healing {
    what: String,
    /// Until all others held the new record.
    held: Duration,
    /// Until all were linked as well.
    healed: Duration,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let stop = stop_requested()?;
    tokio::pin!(stop);
    let directory = tempfile::Builder::new().prefix("stayfound-devnet-").tempdir()?;
    let mut screen = Screen::new(arguments.operators.into());
    let strangers = Strangers::start().await?;
    let mut net =
        Net::create(directory.path(), arguments.operators, arguments.base_port, strangers)?;
    let result = tokio::select! {
        result = story(&mut net, &mut screen) => result,
        () = &mut stop => Err(Failure::running("interrupted before the end")),
    };
    let result = match result {
        Ok(()) if arguments.stay => {
            screen.say("the cluster stays until Ctrl-C")?;
            tokio::select! {
                result = watch(&net, &mut screen, "") => result,
                () = &mut stop => Ok(()),
            }
        }
        result => result,
    };
    screen.leave();
    let stopped = net.stop().await;
    result.and(stopped)
}

async fn story(net: &mut Net, screen: &mut Screen) -> Result<(), Failure> {
    screen.say(&net.introduction())?;
    let begun = Instant::now();
    net.start_all().await?;
    let mut healings = vec![heal(net, screen, "the full mesh forms", begun, HEAL_WITHIN).await?];

    let mover = net.called(MOVER);
    look(net, screen, &format!("the mesh stands; next, {mover} moves")).await?;
    let begun = Instant::now();
    let (from, to) = net.move_away(MOVER).await?;
    screen.say(&format!("{mover} moves from {from} to {to}; nobody is told"))?;
    let what = format!("{mover} moved");
    healings.push(heal(net, screen, &what, begun, HEAL_WITHIN).await?);

    let loser = net.called(LOSER);
    look(net, screen, &format!("healed; next, {loser} loses its data and moves")).await?;
    let old_seq = net.kill_and_wipe(LOSER).await?;
    let begun = Instant::now();
    let (from, to) = net.start_elsewhere(LOSER).await?;
    screen.say(&format!(
        "{loser} is killed, its data is wiped, and it starts again at {to} instead of {from}"
    ))?;
    let what = format!("{loser} lost its data and moved");
    healings.push(heal(net, screen, &what, begun, HEAL_WITHIN).await?);
    let new_seq = net.seq(LOSER);
    screen.say(&format!("its record has seq {new_seq}, above the {old_seq} of the one it lost"))?;

    healings.push(scatter(net, screen).await?);
    screen.leave();
    Ok(summarise(screen, &healings)?)
}

/// Everybody moves at once, and one has lost its data: nobody is where anybody knew it to be.
async fn scatter(net: &mut Net, screen: &mut Screen) -> Result<Healing, Failure> {
    let begun = Instant::now();
    let joined = timeout(JOIN_WITHIN, net.strangers_join(STRANGERS)).await;
    joined.map_err(|_| {
        let within = JOIN_WITHIN.as_secs();
        Failure::running(format!("a stranger had no answer of the boot node within {within} s"))
    })??;
    let (least, most) = net.known_to_strangers();
    screen.say(&format!(
        "{STRANGERS} strangers joined through a boot node in {}; each knows {least} to {most} nodes",
        millis(begun.elapsed())
    ))?;
    let loser = net.called(LOSER_OF_ALL);
    look(net, screen, &format!("next, all move at once, and {loser} loses its data")).await?;
    let begun = net.scatter(LOSER_OF_ALL).await?;
    screen.say(&format!(
        "all operators are killed and start again at other ports, {loser} without its data; each is \
         told of the boot node alone"
    ))?;
    let what = format!("all operators moved, operator {LOSER_OF_ALL} lost its data");
    heal(net, screen, &what, begun, SEARCH_WITHIN).await
}

/// Waits until everybody holds the newest record of everybody else and is linked with it there.
async fn heal(
    net: &Net,
    screen: &mut Screen,
    what: &str,
    begun: Instant,
    within: Duration,
) -> Result<Healing, Failure> {
    let mut held = None;
    let mut redraw = tokio::time::interval(REDRAW_EVERY);
    while begun.elapsed() < within {
        let changed = net.changed();
        let lacks = net.lacks();
        if !lacks.iter().any(|lack| lack.record) {
            held.get_or_insert_with(|| begun.elapsed());
        }
        if lacks.is_empty() {
            let healed = begun.elapsed();
            let held = held.expect("nothing is lacking, nor any record");
            screen.settle(&net.table())?;
            screen.say(&format!(
                "{what}: records held by all after {}, links up after {}",
                millis(held),
                millis(healed)
            ))?;
            return Ok(Healing { what: what.into(), held, healed });
        }
        let pairs = net.pair_count();
        let progress = format!(
            "{what}: {} of {pairs} ways work, {:.1} s",
            pairs - lacks.len(),
            begun.elapsed().as_secs_f64()
        );
        screen.draw(&net.table(), &progress)?;
        tokio::select! {
            () = changed => {}
            _ = redraw.tick() => {}
        }
    }
    Err(Failure::running(unhealed(what, &net.lacks(), within)))
}

fn unhealed(what: &str, lacks: &[Lack], within: Duration) -> String {
    let within = within.as_secs();
    let mut message = format!("the mesh did not heal within {within} s ({what}):");
    for lack in lacks.iter().take(LACKS_MAX) {
        message += &format!("\n  {lack}");
    }
    if let more @ 1.. = lacks.len().saturating_sub(LACKS_MAX) {
        message += &format!("\n  and {more} more like these");
    }
    message
}

/// Shows a live table for a while, if somebody looks on: the mesh heals faster than people read.
async fn look(net: &Net, screen: &mut Screen, progress: &str) -> Result<(), Failure> {
    if !screen.is_live() {
        return Ok(());
    }
    timeout(LOOK, watch(net, screen, progress)).await.unwrap_or(Ok(()))
}

/// Keeps the table true until this is dropped.
async fn watch(net: &Net, screen: &mut Screen, progress: &str) -> Result<(), Failure> {
    let mut redraw = tokio::time::interval(REDRAW_EVERY);
    loop {
        redraw.tick().await;
        screen.draw(&net.table(), progress)?;
    }
}

fn summarise(screen: &mut Screen, healings: &[Healing]) -> io::Result<()> {
    screen.say(&format!(
        "{:55}  {:>10}  {:>10}",
        "healed: all hold and are linked after", "records", "links"
    ))?;
    for Healing { what, held, healed } in healings {
        screen.say(&format!("{what:55}  {:>10}  {:>10}", millis(*held), millis(*healed)))?;
    }
    Ok(())
}

fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1_000.0)
}
