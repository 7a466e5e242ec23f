//! For nodes that share a store: each node repeats, once per heartbeat, which streams it holds and,
//! for a while, what ended or was decided at it. That repairs lost pushes and writes that the
//! engine lost in a fail-over.

use crate::recent_endings::Ending;
use crate::service::Service;
use crate::stream::HeldBy;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A node's streams are processed in this many parts, spread over a heartbeat.
const PARTS: u64 = 8;
/// How many records are processed at once.
const AT_ONCE: usize = 64;
/// Repeats all of it once per heartbeat, for the life of the process.
pub async fn run(service: Arc<Service>) {
    for part in (0..PARTS).cycle() {
        let pause = service.heartbeat() / u32::try_from(PARTS).unwrap_or(1);
        tokio::time::sleep(pause).await;
        if part == 0 {
            let endings = service.recent_endings.all();
            each(&service, endings, |service, of_user| async move {
                let said =
                    service.decide(&of_user.user_id, |user, _, pushes| match &of_user.ending {
                        Ending::Gone(gone) => user.stays_gone(gone, pushes),
                        Ending::Decided(decided) => user.stays_decided(decided, pushes),
                    });
                said.await.is_ok()
            })
            .await;
        }
        let held = service.streams().held(part, PARTS);
        each(&service, held, |service, stream| async move {
            said_to_be_held(&service, &stream).await
        })
        .await;
    }
}

/// Reports that this node holds a stream, and ends the stream if it should not exist. `false`: the
/// store is unavailable; try later.
async fn said_to_be_held(service: &Service, stream: &HeldBy) -> bool {
    let (held, settings) = (&stream.held, service.settings());
    let said = service
        .decide(&stream.user_id, |user, now, pushes| {
            // It may have closed meanwhile, and its record may already say so.
            if !service.streams().has(held.stream.stream_id) {
                return None;
            }
            user.holds(held, &settings.rules, now, pushes)
        })
        .await;
    match said {
        Ok(Some(end)) => service.streams().push(held.stream.stream_id, end),
        Ok(None) => {}
        Err(_) => return false,
    }
    true
}

/// Runs `act` for each item, several at once, until the store turns out to be unavailable.
async fn each<T, F>(service: &Arc<Service>, items: Vec<T>, act: impl Fn(Arc<Service>, T) -> F)
where
    T: Send + 'static,
    F: Future<Output = bool> + Send + 'static,
{
    let mut running = JoinSet::new();
    for item in items {
        if running.len() >= AT_ONCE && !matches!(running.join_next().await, Some(Ok(true))) {
            break;
        }
        running.spawn(act(service.clone(), item));
    }
    while running.join_next().await.is_some() {}
}
