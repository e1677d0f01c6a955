//! SQL whose parameters are some of a longer list of values.

/// SQL with the values that it takes: `$1`, `$2` and so on of its own, because a query is given what it uses and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    /// Of each of its parameters: the position among the range and all variables, from 0.
    pub takes: Vec<usize>,
}

impl Statement {
    /// Of a text whose `$1` and `$2` are the range, and `$3` and so on the variables.
    pub fn new(text: &str) -> Self {
        let mut takes: Vec<usize> = Vec::new();
        let own = |number: usize| {
            let at = number - 1;
            let known = takes.iter().position(|taken| *taken == at);
            let place = known.unwrap_or_else(|| {
                takes.push(at);
                takes.len() - 1
            });
            format!("${}", place + 1)
        };
        let sql = with_placeholders(text, own);
        Self { sql, takes }
    }

    /// What it takes of all values.
    pub fn values<T: Clone>(&self, all: &[T]) -> Vec<T> {
        self.takes.iter().filter_map(|at| all.get(*at).cloned()).collect()
    }
}

/// The text with something else for each `$n`, where n is not 0.
pub fn with_placeholders(text: &str, mut put: impl FnMut(usize) -> String) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        match number.parse::<usize>().ok().filter(|number| *number > 0) {
            Some(number) => out.push_str(&(put(number) + rest)),
            None => out.push_str(&format!("${part}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_parameters_of_its_own() {
        let statement = Statement::new("select $4, $1 from t where a = $4 and b = '$' and c = $0");
        assert_eq!(statement.sql, "select $1, $2 from t where a = $1 and b = '$' and c = $0");
        assert_eq!((statement.takes.clone(), statement.values(&["f", "t", "x", "y"])), (vec![3, 0], vec!["y", "f"]));
    }
}
