//! What is scraped, as it is named on the command line.

use ureq::http::Uri;

/// What an exporter serves where its address names no path.
const PATH: &str = "/metrics";

/// A name and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The service that its rows belong to.
    pub name: String,
    pub url: Uri,
    /// Host and port, which tells its rows from those of others.
    pub instance: String,
    /// The node whose GPUs it tells of, where the page does not say; none for this one.
    pub node: Option<String>,
}

impl Target {
    /// `NAME=URL`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, url) =
            text.split_once('=').ok_or("expected NAME=URL, such as dcgm=http://127.0.0.1:9400/metrics")?;
        let name = contract::checked_id("the name", name).map_err(|error| error.to_string())?;
        let mut parts = url.parse::<Uri>().map_err(|error| format!("{url:?} is no address: {error}"))?.into_parts();
        let scheme = parts.scheme.as_ref().map_or("", |scheme| scheme.as_str());
        if !["http", "https"].contains(&scheme) {
            return Err(format!("{url:?} must start with http:// or https://"));
        }
        let port = if scheme == "https" { 443 } else { 80 };
        let authority = parts.authority.clone().ok_or_else(|| format!("{url:?} names no host"))?;
        if authority.as_str().contains('@') {
            return Err("a password has no place in an address, name a file with --scrape-token-file".to_owned());
        }
        if parts.path_and_query.as_ref().is_none_or(|path| path.as_str() == "/") {
            parts.path_and_query = Some(ureq::http::uri::PathAndQuery::from_static(PATH));
        }
        let host = authority.host().trim_matches(['[', ']']);
        let instance = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(port));
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let node = (!is_here).then(|| host.to_owned());
        let url = Uri::from_parts(parts).map_err(|error| format!("{url:?} is no address: {error}"))?;
        Ok(Self { name, url, instance, node })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_path() {
        let parsed = |text: &str| Target::parse(text).unwrap();
        let local = parsed("vllm=http://127.0.0.1:8000");
        assert_eq!((local.name.as_str(), local.url.to_string().as_str()), ("vllm", "http://127.0.0.1:8000/metrics"));
        assert_eq!((local.instance.as_str(), local.node), ("127.0.0.1:8000", None));
        let far = parsed("dcgm=https://gpu-7.example/custom?a=b=c");
        assert_eq!((far.instance.as_str(), far.node.as_deref()), ("gpu-7.example:443", Some("gpu-7.example")));
        assert_eq!(far.url.path_and_query().unwrap(), "/custom?a=b=c");
        assert_eq!(parsed("a=http://[::1]:9/").node, None);
        for bad in
            ["", "a", "=http://h", "a=h:1", "a=ftp://h", "a=/metrics", "a=http://u:p@h/", "a=http://", "a=file:///x"]
        {
            assert!(Target::parse(bad).is_err(), "{bad:?}");
        }
    }
}
