//! The lines that a container runtime writes for Kubernetes: `2026-01-02T03:04:05.678901234Z stdout F message`. Pure.

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cri<'a> {
    pub time: &'a str,
    pub stream: &'static str,
    /// Whether the next line of the stream goes on with the message.
    pub partial: bool,
    pub message: &'a str,
}

pub(super) fn parse(line: &str) -> Option<Cri<'_>> {
    let (time, rest) = line.split_once(' ')?;
    let looks_like_a_time =
        time.len() >= 20 && time.as_bytes()[..4].iter().all(u8::is_ascii_digit) && time.contains('T');
    let (stream, rest) = rest.split_once(' ').filter(|_| looks_like_a_time)?;
    let stream = ["stdout", "stderr"].into_iter().find(|name| *name == stream)?;
    // An empty message may come without the blank before it. Behind a colon there may be more tags.
    let (tags, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let partial = match tags.split(':').next()? {
        "F" => false,
        "P" => true,
        _ => return None,
    };
    Some(Cri { time, stream, partial, message })
}

/// What the path of a pod's log says: `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod<'a> {
    pub namespace: &'a str,
    pub pod: &'a str,
    pub uid: &'a str,
    pub container: &'a str,
}

pub(super) fn pod_of(path: &str) -> Option<Pod<'_>> {
    let (_, rest) = path.split_once("/pods/")?;
    let mut parts = rest.split('/');
    let (folder, container) = (parts.next()?, parts.next()?);
    // No name of a namespace, pod or container has an underscore.
    let mut names = folder.split('_');
    let (namespace, pod, uid) = (names.next()?, names.next()?, names.next()?);
    let whole = parts.next().is_some() && names.next().is_none() && ![namespace, pod, uid, container].contains(&"");
    whole.then_some(Pod { namespace, pod, uid, container })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_a_runtime_are_taken_apart() {
        let time = "2026-01-02T03:04:05.678901234Z";
        let of =
            |rest: &str| parse(&format!("{time} {rest}")).map(|cri| (cri.stream, cri.partial, cri.message.to_owned()));
        assert_eq!(of("stdout F hello  world"), Some(("stdout", false, "hello  world".into())));
        assert_eq!(of("stderr P a part"), Some(("stderr", true, "a part".into())));
        assert_eq!(of("stdout F"), Some(("stdout", false, String::new())));
        assert_eq!(of("stdout P:x y"), Some(("stdout", true, "y".into())));
        for bad in ["stdin F x", "stdout X x", "stdout", ""] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(parse("hello stdout F x"), None);
    }

    #[test]
    fn a_path_tells_the_pod() {
        let pod = pod_of("/var/log/pods/ml_train-0_0b1c/worker/0.log").unwrap();
        assert_eq!((pod.namespace, pod.pod, pod.uid, pod.container), ("ml", "train-0", "0b1c", "worker"));
        for path in ["/var/log/pods/ml_train-0_0b1c", "/var/log/pods/a_b/c/0.log", "/var/log/x.log", "/pods/__/a/0.log"]
        {
            assert_eq!(pod_of(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,60}|[0-9]{0,5}[é0-9T:.Z-]{0,30} (stdout|stderr)? ?[FP:é]{0,3} ?.{0,9}") {
            parse(&line);
            pod_of(&line);
        }
    }
}
