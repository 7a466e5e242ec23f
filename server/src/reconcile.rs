//! Where nodes share a store: each says again, once a heartbeat, which streams it holds, and for a while
//! what has ended at it and what the operator has decided there. A push that was lost, and writes that
//! the engine lost in a fail-over, are made good by that.

use crate::recent_endings::Ending;
use crate::service::Service;
use crate::stream::HeldBy;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The streams of a node are gone through in so many parts, spread over a heartbeat.
const PARTS: u64 = 8;
/// So many records are looked at at once.
const AT_ONCE: usize = 64;
/// Says all of it again, once a heartbeat, for as long as the process lives.
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

/// Says that this node holds a stream, and ends it if it should not be there. `false`: the store
/// is away, and later will do.
async fn said_to_be_held(service: &Service, stream: &HeldBy) -> bool {
    let (held, settings) = (&stream.held, service.settings());
    let said = service
        .decide(&stream.user_id, |user, now, pushes| {
            // It may have been closed in the meantime, and its record may say so already.
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

/// Does something for each, several at once, until the store is found to be away.
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
