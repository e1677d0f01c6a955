//! Functions of one value and of scalars. Pure.

/// A value and the scalars that follow it → a value, or none.
pub(in super::super) type PointFunction = fn(f64, &[f64]) -> Option<f64>;

pub(super) fn named(name: &str) -> Option<PointFunction> {
    Some(match name {
        "abs" => |v, _| Some(v.abs()),
        "ceil" => |v, _| Some(v.ceil()),
        "floor" => |v, _| Some(v.floor()),
        "exp" => |v, _| Some(v.exp()),
        "sqrt" => |v, _| Some(v.sqrt()),
        "ln" => |v, _| Some(v.ln()),
        "log2" => |v, _| Some(v.log2()),
        "log10" => |v, _| Some(v.log10()),
        "sin" => |v, _| Some(v.sin()),
        "cos" => |v, _| Some(v.cos()),
        "tan" => |v, _| Some(v.tan()),
        "asin" => |v, _| Some(v.asin()),
        "acos" => |v, _| Some(v.acos()),
        "atan" => |v, _| Some(v.atan()),
        "sinh" => |v, _| Some(v.sinh()),
        "cosh" => |v, _| Some(v.cosh()),
        "tanh" => |v, _| Some(v.tanh()),
        "asinh" => |v, _| Some(v.asinh()),
        "acosh" => |v, _| Some(v.acosh()),
        "atanh" => |v, _| Some(v.atanh()),
        "deg" => |v, _| Some(v.to_degrees()),
        "rad" => |v, _| Some(v.to_radians()),
        "sgn" => |v, _| Some(sign(v)),
        "round" => |v, to| Some(round(v, to.first().copied().unwrap_or(1.0))),
        "clamp" => clamp,
        "clamp_min" => |v, bounds| Some(larger(v, *bounds.first()?)),
        "clamp_max" => |v, bounds| Some(smaller(v, *bounds.first()?)),
        _ => return None,
    })
}

/// -1, 1, or the value itself where it has no sign.
fn sign(v: f64) -> f64 {
    match v {
        v if v < 0.0 => -1.0,
        v if v > 0.0 => 1.0,
        v => v,
    }
}

/// To a whole multiple of `to`; halves go up.
fn round(v: f64, to: f64) -> f64 {
    let inverse = 1.0 / to;
    (v * inverse + 0.5).floor() / inverse
}

fn clamp(v: f64, bounds: &[f64]) -> Option<f64> {
    let &[least, most] = bounds else { return None };
    // Bounds the wrong way round leave nothing.
    (most >= least || most.is_nan() || least.is_nan()).then(|| larger(least, smaller(most, v)))
}

/// NaN when either is, other than Rust's own.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}
