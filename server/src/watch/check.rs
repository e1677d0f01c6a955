//! Whether the statements of a text can be asked.

use super::{Watch, WatchError};
use crate::alert::{Asks, Rule, Stated};
use crate::cost::LineFault;
use crate::error::ErrorKind;
use crate::query::{Parameter, QueryError, Statement};
use std::collections::BTreeSet;

impl Watch {
    /// What is wrong with the statements, by line: they cannot be asked, or their sentences name what they do not answer.
    pub async fn check(&self, stated: &Stated) -> Result<Vec<LineFault>, WatchError> {
        let mut faults = Vec::new();
        for rule in &stated.rules {
            faults.extend(self.check_rule(rule).await?);
        }
        Ok(faults)
    }

    async fn check_rule(&self, rule: &Rule) -> Result<Option<LineFault>, WatchError> {
        let now_micros = (self.inner.clock)();
        let fault =
            |what: String| Ok(Some(LineFault { line: rule.line, what: format!("rule {:?}: {what}", rule.name) }));
        let names: BTreeSet<String> = match &rule.asks {
            Asks::Sql(sql) => {
                let statement = Statement::new(sql);
                let range = [Parameter::Time(now_micros - rule.over_micros), Parameter::Time(now_micros)];
                match self.inner.engine.schema(&statement.sql, statement.values(&range)).await {
                    Ok(schema) => schema.fields().iter().map(|field| field.name().clone()).collect(),
                    Err(error) => return fault(askers(error)?),
                }
            }
            Asks::PromQl(query) => match self.inner.engine.promql(query, now_micros.div_euclid(1000), None).await {
                Ok(_) => return Ok(None),
                Err(error) => return fault(askers(error)?),
            },
        };
        if rule.threshold.is_some() && !names.contains("value") {
            return fault("it has a threshold, and its statement answers no column `value`".to_owned());
        }
        let is_known = |name: &str| names.contains(name) || name == "value" || rule.labels.contains_key(name);
        let unknown = rule.annotations.values().flat_map(|template| template.names()).find(|name| !is_known(name));
        match unknown {
            Some(name) => fault(format!("a sentence names {{{name}}}, which is no column of its statement")),
            None => Ok(None),
        }
    }
}

/// What is the asker's to mend, on one line; anything else is an error.
fn askers(error: QueryError) -> Result<String, WatchError> {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Limit => {
            Ok(error.to_string().lines().collect::<Vec<_>>().join(" "))
        }
        _ => Err(error.into()),
    }
}
