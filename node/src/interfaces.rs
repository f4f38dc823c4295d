//! The addresses of this host's interfaces, and their changes.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use if_watch::tokio::IfWatcher;
use if_watch::{IfEvent, IpNet};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

/// How long the system may take to name the addresses that there are.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// The list of addresses has no end mark: this much silence is one.
const QUIET: Duration = Duration::from_millis(50);
/// How long to wait before watching anew, after the system stopped telling.
const RETRY: Duration = Duration::from_secs(5);
/// How many changes may wait.
const CHANGES_MAX: usize = 64;

/// A change of the host's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An interface has this address now.
    Up(IpAddr),
    /// No interface has it any more.
    Down(IpAddr),
}

/// Watches the interfaces until the receiver is dropped. Answers the addresses that there are, and
/// where their changes come out.
///
/// # Errors
/// If the system does not tell.
pub(crate) async fn watch() -> io::Result<(BTreeSet<IpAddr>, mpsc::Receiver<Change>)> {
    let (watcher, nets) = begin().await?;
    let (changes, receiver) = mpsc::channel(CHANGES_MAX);
    let addresses = addresses(&nets);
    tokio::spawn(async move {
        tokio::select! {
            () = changes.closed() => {}
            () = follow(watcher, nets, &changes) => {}
        }
    });
    Ok((addresses, receiver))
}

async fn begin() -> io::Result<(IfWatcher, BTreeSet<IpNet>)> {
    let mut watcher = IfWatcher::new()?;
    let mut nets = BTreeSet::new();
    let end = Instant::now() + FIRST_WITHIN;
    let mut until = end;
    while let Ok(event) = timeout_at(until, next(&mut watcher)).await {
        apply(&mut nets, event?);
        until = end.min(Instant::now() + QUIET);
    }
    Ok((watcher, nets))
}

async fn follow(mut watcher: IfWatcher, mut nets: BTreeSet<IpNet>, changes: &mpsc::Sender<Change>) {
    loop {
        let before = addresses(&nets);
        match next(&mut watcher).await {
            Ok(event) => apply(&mut nets, event),
            Err(error) => {
                warn!(%error, "the interfaces of this host are not watched for a while");
                (watcher, nets) = begin_anew().await;
            }
        }
        let after = addresses(&nets);
        let down = before.difference(&after).map(|ip| Change::Down(*ip));
        let up = after.difference(&before).map(|ip| Change::Up(*ip));
        for change in down.chain(up) {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

async fn begin_anew() -> (IfWatcher, BTreeSet<IpNet>) {
    loop {
        sleep(RETRY).await;
        if let Ok(begun) = begin().await {
            return begun;
        }
    }
}

async fn next(watcher: &mut IfWatcher) -> io::Result<IfEvent> {
    poll_fn(|context| watcher.poll_if_event(context)).await
}

fn apply(nets: &mut BTreeSet<IpNet>, event: IfEvent) {
    match event {
        IfEvent::Up(net) => nets.insert(net),
        IfEvent::Down(net) => nets.remove(&net),
    };
}

/// One address may be on several interfaces, or in several nets.
fn addresses(nets: &BTreeSet<IpNet>) -> BTreeSet<IpAddr> {
    nets.iter().map(IpNet::addr).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn the_loopback_is_there_from_the_start() {
        let (addresses, _changes) = watch().await.expect("the system tells");
        assert!(addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{addresses:?}");
    }

    #[test]
    fn an_address_in_two_nets_is_one_address() {
        let net = |text: &str| text.parse::<IpNet>().expect("a net");
        let mut nets = BTreeSet::new();
        apply(&mut nets, IfEvent::Up(net("10.0.0.1/8")));
        apply(&mut nets, IfEvent::Up(net("10.0.0.1/24")));
        assert_eq!(addresses(&nets).len(), 1);
        apply(&mut nets, IfEvent::Down(net("10.0.0.1/8")));
        assert_eq!(addresses(&nets).len(), 1);
        apply(&mut nets, IfEvent::Down(net("10.0.0.1/24")));
        assert!(addresses(&nets).is_empty());
    }
}
