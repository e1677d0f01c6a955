//! Which `Host` and `Origin` a request may name. Pure.
//!
//! A page of somebody else can have its own name point to 127.0.0.1 and then ask us as its own origin (DNS
//! rebinding). A loopback listener therefore answers to loopback names only. And a browser's cookie counts for
//! requests from our own pages only.

/// Whether a loopback listener answers to this `Host`.
pub(super) fn is_loopback_host(host: &str) -> bool {
    matches!(without_port(host), "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether `origin` is the origin of `host` itself.
pub(super) fn is_same_origin(origin: &str, host: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_hosts() {
        for good in ["localhost", "localhost:6240", "127.0.0.1", "127.0.0.1:1", "[::1]:6240", "[::1]"] {
            assert!(is_loopback_host(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:6240",
            "127.0.0.1.evil.example",
            "localhost.evil:80",
            "::1",
            "a@localhost",
        ] {
            assert!(!is_loopback_host(bad), "{bad}");
        }
    }

    #[test]
    fn only_our_own_pages_use_the_cookie() {
        assert!(is_same_origin("http://127.0.0.1:6240", "127.0.0.1:6240"));
        for other in ["http://127.0.0.1:9", "http://evil.example", "null", "", "127.0.0.1:6240"] {
            assert!(!is_same_origin(other, "127.0.0.1:6240"), "{other}");
        }
    }
}
