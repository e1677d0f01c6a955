//! Answers of the API that only the pages read: their fields, held against the API's document by a test.

/// Gives the answers of the API their JSON where there is a browser.
macro_rules! answer {
    ($($(#[$meta:meta])* pub(crate) struct $name:ident { $($(#[$of_field:meta])* pub(crate) $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Default, PartialEq)]
            #[cfg_attr(target_arch = "wasm32", derive(serde::Serialize, serde::Deserialize))]
            pub(crate) struct $name { $($(#[$of_field])* pub(crate) $field: $type,)* }
            #[cfg(test)]
            impl $name {
                const FIELDS: (&str, &[&str]) = (stringify!($name), &[$(stringify!($field)),*]);
            }
        )*
    };
}

/// Whether each schema of the API's document has these fields; names what is missing.
#[cfg(test)]
pub(crate) fn missing(known: &[(&str, &[&str])]) -> Vec<String> {
    let document = include_str!("../../server/src/api/openapi.json");
    let mut missing = Vec::new();
    for (name, fields) in known {
        // Schemas are indented by three.
        let schema =
            document.split_once(&format!("\n   \"{name}\": {{")).and_then(|(_, rest)| rest.split_once("\n   }"));
        let Some((schema, _)) = schema else {
            missing.push((*name).to_owned());
            continue;
        };
        let has = |field: &&&str| schema.contains(&format!("\n     \"{field}\": {{"));
        missing.extend(fields.iter().filter(|field| !has(field)).map(|field| format!("{name}.{field}")));
    }
    missing
}
