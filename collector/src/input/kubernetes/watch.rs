//! The pods of this node, as the API server lists and watches them.
//!
//! **Invariant:** whatever breaks off, a later message says everything that was missed: a watch goes on from the last
//! version that was heard, or else all pods are listed anew.

use super::{Heard, chain};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client, Error, ResourceExt as _};
use rand::{Rng as _, SeedableRng as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

/// The API server ends a watch then; it is asked again where it ended.
const WATCH_SECONDS: u32 = 240;
/// A watch that says nothing, not even that it ends, hangs.
const SILENT_MAX: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);
/// Pods of one node are listed in less.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Waits between tries double from the one to the other; ten thousand nodes must not storm a server that comes back.
const TRY_AGAIN_MIN: Duration = Duration::from_millis(500);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(30);
/// What the API server says of a version that it has forgotten.
const GONE: u16 = 410;

/// Why a watch is over.
#[derive(Debug)]
enum Over {
    /// Nobody listens any more.
    Unheard,
    /// The version is forgotten, or is no good for another reason: list anew.
    Forgotten(Option<String>),
    /// It ended or broke off: go on from the version.
    Ended,
    Failed(String),
}

/// Lists and watches until nobody listens.
pub(super) async fn follow(node: Arc<str>, heard: Sender<Heard>) {
    let mut pause = TRY_AGAIN_MIN;
    let mut failing = false;
    let mut random = rand::rngs::StdRng::from_os_rng();
    let mut version: Option<String> = None;
    loop {
        let begun = Instant::now();
        let failure = match step(&node, &heard, &mut version, &mut failing).await {
            Over::Unheard => return,
            Over::Ended => None,
            Over::Forgotten(why) => {
                version = None;
                why
            }
            Over::Failed(error) => Some(error),
        };
        if heard.is_closed() {
            return;
        }
        if let Some(error) = failure.filter(|_| !std::mem::replace(&mut failing, true)) {
            tracing::warn!(error, "the API server does not tell of pods; it is asked again");
        }
        pause = if begun.elapsed() >= TRY_AGAIN_MAX { TRY_AGAIN_MIN } else { (pause * 2).min(TRY_AGAIN_MAX) };
        // A quarter more or less, so that nodes do not ask all at once.
        sleep(pause.mul_f64(random.random_range(0.75..1.25))).await;
    }
}

/// A list, where there is no version to go on from, and a watch.
async fn step(node: &str, heard: &Sender<Heard>, version: &mut Option<String>, failing: &mut bool) -> Over {
    let client = match Client::try_default().await {
        Ok(client) => client,
        Err(error) => return Over::Failed(chain(&error)),
    };
    let pods: Api<Pod> = Api::all(client);
    let selector = format!("spec.nodeName={node}");
    if version.is_none() {
        match list(&pods, &selector, heard).await {
            Ok(listed) => *version = Some(listed),
            Err(over) => return over,
        }
    }
    let parameters = WatchParams::default().fields(&selector).timeout(WATCH_SECONDS);
    let from = version.clone().unwrap_or_default();
    match timeout(ANSWER_WITHIN, pods.watch(&parameters, &from)).await {
        Ok(Ok(events)) => {
            if std::mem::replace(failing, false) {
                tracing::info!("the API server tells of pods again");
            }
            hear(events, heard, version).await
        }
        Ok(Err(error)) => over(error),
        Err(_) => slow(),
    }
}

async fn list(pods: &Api<Pod>, selector: &str, heard: &Sender<Heard>) -> Result<String, Over> {
    let parameters = ListParams::default().fields(selector);
    let answer = timeout(ANSWER_WITHIN, pods.list(&parameters)).await;
    let listed = answer.map_err(|_| slow())?.map_err(|error| Over::Failed(chain(&error)))?;
    let version = listed.metadata.resource_version.unwrap_or_default();
    heard.send(Heard::Listed(listed.items)).await.map_err(|_| Over::Unheard)?;
    Ok(version)
}

/// Hands events over until they end.
async fn hear(
    events: impl Stream<Item = Result<WatchEvent<Pod>, Error>>,
    heard: &Sender<Heard>,
    version: &mut Option<String>,
) -> Over {
    let mut events = std::pin::pin!(events);
    loop {
        let event = match timeout(SILENT_MAX, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return over(error),
            Ok(None) | Err(_) => return Over::Ended,
        };
        let (said, at) = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                let at = pod.resource_version();
                (Heard::Seen(Box::new(pod)), at)
            }
            WatchEvent::Deleted(pod) => {
                let at = pod.resource_version();
                (Heard::Gone(Box::new(pod)), at)
            }
            WatchEvent::Bookmark(mark) => (Heard::Unchanged, Some(mark.metadata.resource_version)),
            WatchEvent::Error(status) if status.code == GONE => return Over::Forgotten(None),
            WatchEvent::Error(status) => return Over::Forgotten(Some(status.to_string())),
        };
        // Only what was handed over counts as heard.
        if heard.send(said).await.is_err() {
            return Over::Unheard;
        }
        *version = at.or(version.take());
    }
}

fn slow() -> Over {
    Over::Failed(format!("it did not answer within {} s", ANSWER_WITHIN.as_secs()))
}

fn over(error: Error) -> Over {
    match &error {
        Error::Api(status) if status.code == GONE => Over::Forgotten(None),
        Error::Api(_) | Error::SerdeError(_) => Over::Forgotten(Some(chain(&error))),
        // A connection that broke, as it does when the API server is started again.
        error => Over::Failed(chain(error)),
    }
}
