//! Which pool, provider and region a GPU belongs to: the first rule that fits it.

use super::document::{Document, Fault, Faults, Format, Row, format_of, quoted, toml_rows};
use super::pattern::Pattern;
use super::rows::GpuPlace;
use std::sync::Arc;

const KEYS: [&str; 6] = ["name", "cluster", "nodes", "gpu_model", "provider", "region"];
/// Each GPU is compared with all of them at worst.
const POOLS_MAX: usize = 10_000;

/// Rules in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    pools: Vec<Pool>,
}

#[derive(Debug, Clone)]
struct Pool {
    name: Arc<str>,
    cluster: Option<Pattern>,
    /// Any of these; empty: any.
    nodes: Vec<Pattern>,
    gpu_model: Option<Pattern>,
    provider: Option<Arc<str>>,
    region: Option<Arc<str>>,
}

impl Pools {
    /// Reads TOML: `[[pool]]` with a `name` and what its GPUs are known by: `cluster`, `nodes` (a list of names, with
    /// `*` or with ranges like `gpu[001-016,20]`), `gpu_model`; and `provider` and `region` that they then have.
    pub fn parse(documents: &[Document]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut pools = Vec::new();
        for document in documents {
            if format_of(document, &[Format::Toml], &mut faults).is_none() {
                continue;
            }
            for (_, row) in toml_rows(document, &["pool"], &mut faults) {
                pools.extend(pool(&row, &mut faults));
            }
            if pools.len() > POOLS_MAX {
                faults.add(&document.name, 1, format!("there are more than {POOLS_MAX} pools"));
                break;
            }
        }
        faults.or(Self { pools })
    }

    /// The place of a GPU by what is known of it. A rule about something unknown does not fit.
    pub fn place(&self, cluster: &Arc<str>, node: Option<&Arc<str>>, gpu_model: Option<&Arc<str>>) -> GpuPlace {
        let pool = self.pools.iter().find(|pool| pool.fits(cluster, node, gpu_model));
        GpuPlace {
            cluster: cluster.clone(),
            node: node.cloned(),
            gpu_model: gpu_model.cloned(),
            pool: pool.map(|pool| pool.name.clone()),
            provider: pool.and_then(|pool| pool.provider.clone()),
            region: pool.and_then(|pool| pool.region.clone()),
        }
    }
}

impl Pool {
    fn fits(&self, cluster: &str, node: Option<&Arc<str>>, gpu_model: Option<&Arc<str>>) -> bool {
        let model_fits = |pattern: &Pattern| gpu_model.is_some_and(|model| pattern.matches(model));
        let node_fits = || node.is_some_and(|node| self.nodes.iter().any(|pattern| pattern.matches(node)));
        self.cluster.as_ref().is_none_or(|pattern| pattern.matches(cluster))
            && self.gpu_model.as_ref().is_none_or(model_fits)
            && (self.nodes.is_empty() || node_fits())
    }
}

fn pool(row: &Row, faults: &mut Faults) -> Option<Pool> {
    let before = faults.count();
    row.only(&KEYS, faults);
    row.required("name", faults);
    let mut nodes = Vec::new();
    for (text, line) in row.texts("nodes", faults) {
        match Pattern::of_nodes(text) {
            Ok(pattern) => nodes.push(pattern),
            Err(why) => faults.add(&row.origin.document, line, format!("nodes: {} {why}", quoted(text))),
        }
    }
    if row.has("nodes") && nodes.is_empty() && faults.count() == before {
        row.fault("nodes", faults, "nodes is empty, so that no node is in the pool; leave it out for any".to_owned());
    }
    let mut pattern = |key| row.text(key, faults).map(Pattern::with_stars);
    let (cluster, gpu_model) = (pattern("cluster"), pattern("gpu_model"));
    let (provider, region) = (row.name("provider", faults), row.name("region", faults));
    let name = row.name("name", faults)?;
    (faults.count() == before).then_some(Pool { name, cluster, nodes, gpu_model, provider, region })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Pools, Vec<Fault>> {
        Pools::parse(&[Document { name: "pools.toml".to_owned(), version: "1".to_owned(), text: text.to_owned() }])
    }

    #[test]
    fn the_first_rule_that_fits_gives_the_pool() {
        let text = r#"
            [[pool]]
            name = "reserved"
            cluster = "lab"
            nodes = ["gpu[001-016,20]", "login*"]
            provider = "gcp"
            region = "us-central1"
            [[pool]]
            name = "a100"
            gpu_model = "*A100*"
        "#;
        let pools = parse(text).expect("pools");
        let place = |cluster: &str, node: Option<&str>, model: Option<&str>| {
            let (node, model) = (node.map(Arc::from), model.map(Arc::from));
            let place = pools.place(&cluster.into(), node.as_ref(), model.as_ref());
            let text = |name: Option<Arc<str>>| name.map(|name| name.to_string()).unwrap_or_default();
            (text(place.pool), text(place.provider), text(place.region))
        };
        let owned = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(place("lab", Some("gpu007"), Some("NVIDIA A100")), owned("reserved", "gcp", "us-central1"));
        assert_eq!(place("lab", Some("gpu017"), Some("NVIDIA A100")), owned("a100", "", ""));
        assert_eq!(place("other", Some("gpu007"), Some("NVIDIA H100")), owned("", "", ""));
        assert_eq!(place("lab", None, None), owned("", "", ""), "a rule about nodes does not fit without one");
    }

    #[test]
    fn each_mistake_has_its_line() {
        let text =
            "[[pool]]\nnodes = [\"a[1\"]\n[[pool]]\nname = \"x\"\nnode = \"y\"\nnodes = []\n[[pols]]\nname = \"z\"\n";
        let said: Vec<String> = parse(text).expect_err("faults").iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "pools.toml line 1: has no name",
                "pools.toml line 2: nodes: \"a[1\" has a [ without its ]",
                "pools.toml line 5: has an unknown key \"node\"; a key is name, cluster, nodes, gpu_model, provider or region",
                "pools.toml line 7: \"pols\" is unknown here; there may be [[pool]]",
            ]
        );
        let said = parse("[[pool]]\nname = \"x\"\nnodes = []\n").expect_err("faults");
        assert_eq!(said[0].line, 3);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[\\[pool\\]\\]\nname = \"a\"\n)?[-a-z0-9=\\[\\]\"\n,*]{0,60}|.{0,60}") {
            match parse(&text) {
                Ok(pools) => drop(pools.place(&"c".into(), None, None)),
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
