//! What Slurm writes into one field: TRES lists, host lists, states and exit codes.

use super::number::Unit;

/// Nodes of one job; the largest machines have fewer, and a forged range must not fill memory.
const HOSTS_MAX: usize = 100_000;

/// Slurm's "no value" and "infinite", in 64 and 32 bits.
const UNSET: [&str; 4] = ["18446744073709551614", "18446744073709551615", "4294967294", "4294967295"];

/// The value of a trackable resource in `cpu=8,gres/gpu=2,gres/gpu:h100=2` or `1=8,1001=2`.
///
/// The typed and the untyped form of a name are the same devices: the untyped one counts, and the typed ones are
/// added up where it is missing. Several `names` are added. A list that has none of them says 0 devices, but not
/// that there is no memory.
pub(super) fn tres(list: &str, names: &[String], unit: Option<Unit>) -> Result<Option<i64>, String> {
    if list.is_empty() {
        return Ok(None);
    }
    let (mut sum, mut found): (i64, bool) = (0, false);
    for name in names {
        let (mut plain, mut typed) = (None, 0_i64);
        for entry in list.split(',') {
            let Some((key, value)) = entry.trim().split_once('=') else {
                return Err(format!("{entry:?} is not name=value"));
            };
            let is_plain = key == name;
            if !is_plain && key.strip_prefix(name.as_str()).is_none_or(|rest| !rest.starts_with(':')) {
                continue;
            }
            let Some(value) = tres_value(value, unit)? else { return Ok(None) };
            found = true;
            if is_plain {
                plain = Some(value);
            } else {
                typed = typed.saturating_add(value);
            }
        }
        sum = sum.saturating_add(plain.unwrap_or(typed));
    }
    Ok((found || unit.is_none()).then_some(sum))
}

/// GPUs of a list such as `gpu:2`, `gres:gpu:a100:4(S:0-1),nic:1` or `gpu`.
pub(super) fn gres(list: &str) -> Result<i64, String> {
    let mut sum: i64 = 0;
    // What follows a bracket says where the devices are.
    let mut depth = 0_u32;
    let plain: String = list
        .chars()
        .filter(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect();
    for entry in plain.split(',').map(str::trim) {
        let words: Vec<&str> = entry.strip_prefix("gres:").unwrap_or(entry).split(':').collect();
        if words[0] != "gpu" {
            continue;
        }
        let last = words[words.len() - 1];
        let is_count = words.len() > 1 && last.starts_with(|c: char| c.is_ascii_digit());
        let count = if is_count { last.parse::<u32>().map_err(|_| format!("{entry:?} has no count"))? } else { 1 };
        sum = sum.saturating_add(i64::from(count));
    }
    Ok(sum)
}

/// Of what a memory is: of the job, or of each of its CPUs or nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Job,
    Cpu,
    Node,
}

/// `4000M`, `123456K`, `4G`, and with what each CPU (`4Gc`) or node (`4Gn`) has; without a letter MiB.
pub(super) fn memory(text: &str) -> Result<(i64, Per), String> {
    let (amount, per) = match text.as_bytes().last() {
        Some(b'c') => (&text[..text.len() - 1], Per::Cpu),
        Some(b'n') => (&text[..text.len() - 1], Per::Node),
        _ => (text, Per::Job),
    };
    let bytes = tres_value(amount, Unit::parse("MiB"))?;
    Ok((bytes.ok_or_else(|| format!("{text:?} is no amount"))?, per))
}

/// `1-02:03:04`, `02:03:04`, `03:04`, `1-02`, with a fraction of a second, as microseconds.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("{text:?} is not [days-]hours:minutes:seconds");
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(days), clock),
        None => (None, text),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = match (days, &parts[..]) {
        (_, [hours, minutes, seconds]) => [*hours, *minutes, *seconds],
        (Some(_), [hours, minutes]) => [*hours, *minutes, "0"],
        (Some(_), [hours]) => [*hours, "0", "0"],
        (None, [minutes, seconds]) => ["0", *minutes, *seconds],
        _ => return Err(bad()),
    };
    let whole = |text: &str| -> Result<i64, String> {
        let is_number = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
        if is_number { text.parse().map_err(|_| bad()) } else { Err(bad()) }
    };
    let micros = super::number::Decimal::parse(seconds).and_then(|s| s.floor_i64(6));
    let micros = micros.filter(|m| (0..3_600_000_000_000).contains(m)).ok_or_else(bad)?;
    let minutes = (whole(days.unwrap_or("0"))? * 24 + whole(hours)?) * 60 + whole(minutes)?;
    Ok(minutes * 60_000_000 + micros)
}

/// A number, for memory with Slurm's binary suffix (`64G`); without one it is in `unit`.
fn tres_value(text: &str, unit: Option<Unit>) -> Result<Option<i64>, String> {
    use super::number::{Decimal, split_unit};
    if UNSET.contains(&text) {
        return Ok(None);
    }
    let (number, suffix) = split_unit(text);
    let unit = match suffix {
        "" => unit.unwrap_or(Unit::of_column("")),
        _ => match (unit.is_some(), binary(suffix)) {
            (true, Some(unit)) => unit,
            _ => return Err(format!("{text:?} is not a number")),
        },
    };
    let value = Decimal::parse(number).and_then(|d| d.times(unit)).and_then(|d| d.to_i64(0));
    value.filter(|v| *v >= 0).map(Some).ok_or_else(|| format!("{text:?} is not a number"))
}

fn binary(suffix: &str) -> Option<Unit> {
    Unit::parse(match suffix {
        "K" => "KiB",
        "M" => "MiB",
        "G" => "GiB",
        "T" => "TiB",
        "P" => "PiB",
        _ => return None,
    })
}

/// `n[001-003,7],login1` as single names; an error on brackets that do not match or ranges without end.
pub(super) fn hosts(list: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for part in top_level_parts(list)? {
        let mut names = vec![String::new()];
        let mut rest = part;
        while let Some((head, tail)) = rest.split_once('[') {
            let (ranges, after) = tail.split_once(']').ok_or_else(|| format!("{part:?} has no closing bracket"))?;
            let numbers = numbers(ranges)?;
            if all.len() + names.len().saturating_mul(numbers.len()) > HOSTS_MAX {
                return Err(format!("more than {HOSTS_MAX} hosts"));
            }
            names = names.iter().flat_map(|n| numbers.iter().map(move |x| format!("{n}{head}{x}"))).collect();
            rest = after;
        }
        if rest.contains(']') {
            return Err(format!("{part:?} has no opening bracket"));
        }
        all.extend(names.into_iter().map(|n| n + rest).filter(|n| !n.is_empty()));
    }
    Ok(all)
}

/// Splits at commas that are not within brackets.
fn top_level_parts(list: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'[' if depth > 0 => return Err("brackets within brackets".to_owned()),
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[from..].trim());
    Ok(parts)
}

/// `001-003,7` as texts, with the zeros of the first number kept.
fn numbers(ranges: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for range in ranges.split(',').map(str::trim) {
        let bad = || format!("{range:?} is not a number or a range of numbers");
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        if from.is_empty() || !from.bytes().chain(to.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let (first, last): (u64, u64) = (from.parse().map_err(|_| bad())?, to.parse().map_err(|_| bad())?);
        if last < first || last - first >= HOSTS_MAX as u64 || all.len() >= HOSTS_MAX {
            return Err(bad());
        }
        all.extend((first..=last).map(|n| format!("{n:0width$}", width = from.len())));
    }
    Ok(all)
}

/// `CANCELLED by 1000` and the cut `CANCELLED+` are `CANCELLED`.
pub(super) fn state(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().trim_end_matches('+').to_owned()
}

/// `code:signal` as sacct prints it; 128 plus the number when a signal ended the job.
pub(super) fn exit_code(text: &str) -> Result<i64, String> {
    let bad = || format!("{text:?} is not code:signal");
    let (code, signal) = text.split_once(':').unwrap_or((text, "0"));
    let (code, signal): (u32, u32) = (code.parse().map_err(|_| bad())?, signal.parse().map_err(|_| bad())?);
    Ok(if signal == 0 { i64::from(code) } else { 128 + i64::from(signal) })
}

/// The same from the status of wait(2), which Slurm's database keeps.
pub(super) fn wait_status(text: &str) -> Result<i64, String> {
    let status: u32 = text.parse().map_err(|_| format!("{text:?} is not a wait status"))?;
    let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
    Ok(if signal == 0 { i64::from(code) } else { 128 + i64::from(signal) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn gpus(list: &str) -> Result<Option<i64>, String> {
        tres(list, &["gres/gpu".to_owned()], None)
    }

    fn memory(list: &str) -> Result<Option<i64>, String> {
        tres(list, &["mem".to_owned()], Unit::parse("MiB"))
    }

    #[test]
    fn typed_and_untyped_gpus_are_the_same() {
        assert_eq!(gpus("billing=8,cpu=8,gres/gpu=2,gres/gpu:h100=2,mem=64G,node=1"), Ok(Some(2)));
        assert_eq!(gpus("gres/gpu:h100=2,gres/gpu:a100=1,cpu=1"), Ok(Some(3)));
        assert_eq!(gpus("cpu=8,gres/gpumem=36266M,gres/gpuutil=100"), Ok(Some(0)));
        assert_eq!(gpus(""), Ok(None));
        assert!(gpus("gres/gpu=two").is_err());
        assert!(gpus("gres/gpu=-2").is_err());
        assert!(gpus("half").is_err());
    }

    #[test]
    fn database_numbers_of_several_kinds_are_added() {
        let both = ["1001".to_owned(), "1002".to_owned()];
        assert_eq!(tres("1=20,2=170000,4=1,5=20", &both, None), Ok(Some(0)));
        assert_eq!(tres("1=20,1001=1,1002=2,3=18446744073709551614", &both, None), Ok(Some(3)));
        assert_eq!(tres("1001=18446744073709551614", &both, None), Ok(None));
    }

    #[test]
    fn memory_has_binary_suffixes() {
        assert_eq!(memory("mem=64G"), Ok(Some(64 << 30)));
        assert_eq!(memory("cpu=1"), Ok(None));
        assert_eq!(memory("cpu=1,mem=1.5T"), Ok(Some(3 << 39)));
        assert_eq!(memory("mem=170000"), Ok(Some(170_000 << 20)));
        assert!(memory("mem=1X").is_err());
    }

    #[test]
    fn older_lists_of_devices() {
        for (list, count) in [
            ("gpu:2", 2),
            ("gpu", 1),
            ("gpu:a100", 1),
            ("gres:gpu:a100:4(S:0-1),nic:1", 4),
            ("gpu:v100:2(IDX:0,3),gpu:k80:1", 3),
            ("nic:2", 0),
        ] {
            assert_eq!(gres(list), Ok(count), "{list}");
        }
        assert!(gres("gpu:2x").is_err());
    }

    #[test]
    fn amounts_of_memory_and_durations() {
        assert_eq!(super::memory("4000M"), Ok((4000 << 20, Per::Job)));
        assert_eq!(super::memory("4Gc"), Ok((4 << 30, Per::Cpu)));
        assert_eq!(super::memory("1.5Tn"), Ok((3 << 39, Per::Node)));
        assert_eq!(super::memory("123456K"), Ok((123_456 << 10, Per::Job)));
        assert_eq!(super::memory("512"), Ok((512 << 20, Per::Job)));
        assert!(super::memory("c").is_err() && super::memory("").is_err() && super::memory("lots").is_err());
        for (text, seconds) in
            [("1-02:03:04", 93_784), ("02:03:04", 7384), ("03:04", 184), ("2-00", 172_800), ("1-00:30", 88_200)]
        {
            assert_eq!(duration(text), Ok(seconds * 1_000_000), "{text}");
        }
        assert_eq!(duration("00:01.5"), Ok(1_500_000));
        for bad in ["", "5", "1:2:3:4", "a:b", "-1:00", "1-", "999999999999999999-00:00:00", "1:-2", "UNLIMITED"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_lists() {
        let check = |list: &str, expected: &[&str]| assert_eq!(hosts(list).unwrap(), expected, "{list:?}");
        check("n[001-003,7],login1", &["n001", "n002", "n003", "n7", "login1"]);
        check(
            "rack[1-2]node[8-10]-ib",
            &["rack1node8-ib", "rack1node9-ib", "rack1node10-ib", "rack2node8-ib", "rack2node9-ib", "rack2node10-ib"],
        );
        check("a, b", &["a", "b"]);
        check("", &[]);
        for bad in ["n[1-", "n1]", "n[a-b]", "n[]", "n[3-1]", "n[1-99999999999999999999]", "n[1-999999]", "n[1[2]]"] {
            assert!(hosts(bad).is_err(), "{bad:?}");
        }
        assert!(hosts("a[1-5000][1-5000][1-5000]").is_err());
    }

    #[test]
    fn states_and_exit_codes() {
        assert_eq!(state("CANCELLED by 1000"), "CANCELLED");
        assert_eq!(state("CANCELLED+"), "CANCELLED");
        assert_eq!((exit_code("0:0"), exit_code("2:0"), exit_code("0:9")), (Ok(0), Ok(2), Ok(137)));
        assert_eq!((wait_status("0"), wait_status("256"), wait_status("35072")), (Ok(0), Ok(1), Ok(137)));
        assert_eq!(wait_status("9"), Ok(137));
        assert!(exit_code("x:1").is_err() && wait_status("-1").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", hostlike in "[a-z0-9\\[\\],-]{0,40}", treslike in "[a-z/=:,0-9GM.]{0,40}") {
            for text in [&text, &hostlike, &treslike] {
                std::hint::black_box((hosts(text).is_ok(), gpus(text).is_ok(), memory(text).is_ok()));
                std::hint::black_box((gres(text).is_ok(), super::memory(text).is_ok(), duration(text).is_ok()));
                std::hint::black_box((state(text), exit_code(text).is_ok(), wait_status(text).is_ok()));
            }
        }
    }
}
