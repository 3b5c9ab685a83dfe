//! Sizes and durations: numbers that need a unit, and the units that some read otherwise.
//!
//! Which key has which bounds is not known here.

use super::kinds::{Kind, Raw, integer, one, out_of_range, within, wrong_type};
use super::report::Mistake;
use crate::rates::Rate;
use serde_json::{Value, json};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A number of bytes in a range.
pub(super) struct Bytes(pub(super) RangeInclusive<usize>);

impl Kind for Bytes {
    type Value = usize;

    fn read(&self, raw: &Raw<'_>) -> Result<usize, Vec<Mistake>> {
        let bytes = match (raw.get_ref().as_str(), integer(raw)) {
            (Some(text), _) => size(text).map_err(|text| vec![Mistake::told(raw.span(), &text)])?,
            (None, Some(bytes)) => bytes,
            (None, None) => return Err(wrong_type(raw, "a size", "a number of bytes, or a string such as \"64KiB\"")),
        };
        let (least, most) = (*self.0.start(), *self.0.end());
        let range = i128::try_from(least).unwrap_or(i128::MAX)..=i128::try_from(most).unwrap_or(i128::MAX);
        let bytes = within(raw, bytes, &range, |bytes| show_size(*bytes))?;
        Ok(usize::try_from(bytes).unwrap_or(most))
    }

    fn write(&self, value: &usize) -> Value {
        if *value < 64 * 1024 { json!(value) } else { json!(show_size(i128::try_from(*value).unwrap_or(i128::MAX))) }
    }
}

/// Reads `64KiB` as 65536; a unit that some take for 1000 and others for 1024 is refused.
pub(super) fn size(text: &str) -> Result<i128, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let fitting = || "expected a size; a number of bytes, or a string such as \"64KiB\"".to_owned();
    if number.is_empty() {
        return Err(fitting());
    }
    let number: i128 = number.parse().unwrap_or(i128::MAX);
    let factor = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err(format!("\"{text}\" has no unit; write \"{text}B\", or the number without quotes")),
        other => {
            let letter = other.trim_end_matches(['b', 'B', 'i', 'I']).to_ascii_uppercase();
            return Err(match letter.as_str() {
                "K" | "M" | "G" => {
                    let number = text.get(..digits).unwrap_or_default();
                    format!("`{other}` is not a unit here, as it may mean 1000 or 1024; write \"{number}{letter}iB\"")
                }
                _ => fitting(),
            });
        }
    };
    Ok(number.saturating_mul(factor))
}

fn show_size(bytes: i128) -> String {
    match [(30, "GiB"), (20, "MiB"), (10, "KiB")].iter().find(|(bits, _)| bytes > 0 && bytes % (1 << bits) == 0) {
        Some((bits, unit)) => format!("{}{unit}", bytes >> bits),
        None => bytes.to_string(),
    }
}

/// A duration in a range.
pub(super) struct Span(pub(super) RangeInclusive<Duration>);

impl Kind for Span {
    type Value = Duration;

    fn read(&self, raw: &Raw<'_>) -> Result<Duration, Vec<Mistake>> {
        read_span(raw, &self.0, "s")
    }

    fn write(&self, value: &Duration) -> Value {
        json!(show_duration(value))
    }
}

/// A duration in a range, which may be counted in microseconds.
pub(super) struct Micros(pub(super) RangeInclusive<Duration>);

impl Kind for Micros {
    type Value = Duration;

    fn read(&self, raw: &Raw<'_>) -> Result<Duration, Vec<Mistake>> {
        read_span(raw, &self.0, "us")
    }

    fn write(&self, value: &Duration) -> Value {
        json!(show_duration(value))
    }
}

/// A duration that the system counts in whole seconds.
pub(super) struct Seconds(pub(super) RangeInclusive<Duration>);

impl Kind for Seconds {
    type Value = Duration;

    fn read(&self, raw: &Raw<'_>) -> Result<Duration, Vec<Mistake>> {
        let value = Span(self.0.clone()).read(raw)?;
        if value.subsec_nanos() == 0 { Ok(value) } else { Err(one(raw, "not whole seconds", "such as \"2s\"")) }
    }

    fn write(&self, value: &Duration) -> Value {
        json!(show_duration(value))
    }
}

/// So many in each second, minute or hour.
pub(super) struct PerTime {
    /// Whether what is counted are bytes, whose number has a unit.
    pub(super) of_bytes: bool,
}

const PERIODS: [(&str, Duration); 4] = [
    ("s", Duration::from_secs(1)),
    ("min", Duration::from_mins(1)),
    ("m", Duration::from_mins(1)),
    ("h", Duration::from_hours(1)),
];

impl PerTime {
    fn cure(&self) -> &'static str {
        if self.of_bytes { "such as \"64KiB/s\"" } else { "such as \"20/s\" or \"100/min\"" }
    }
}

impl Kind for PerTime {
    type Value = Rate;

    fn read(&self, raw: &Raw<'_>) -> Result<Rate, Vec<Mistake>> {
        let text = raw.get_ref().as_str().ok_or_else(|| wrong_type(raw, "a rate", self.cure()))?;
        let (amount, period) =
            text.split_once('/').ok_or_else(|| one(raw, format!("\"{text}\" is not a rate"), self.cure()))?;
        let period = PERIODS.iter().find(|(unit, _)| *unit == period.trim());
        let (_, period) = period.ok_or_else(|| one(raw, format!("\"{text}\" is per no time"), "per s, min or h"))?;
        let amount = amount.trim();
        let amount = match amount.parse() {
            Ok(amount) => amount,
            Err(_) if self.of_bytes => size(amount).map_err(|text| vec![Mistake::told(raw.span(), &text)])?,
            Err(_) => return Err(one(raw, format!("\"{amount}\" is not a whole number"), self.cure())),
        };
        let amount = within(raw, amount, &(1..=i128::from(u32::MAX)), i128::to_string)?;
        let amount = u32::try_from(amount).ok().and_then(NonZero::new);
        Ok(Rate::new(amount.unwrap_or(NonZero::<u32>::MIN), *period))
    }

    fn write(&self, value: &Rate) -> Value {
        let unit = PERIODS.iter().find(|(_, period)| *period == value.period()).map_or("s", |(unit, _)| unit);
        let amount = if self.of_bytes { show_size(value.amount().into()) } else { value.amount().to_string() };
        json!(format!("{amount}/{unit}"))
    }
}

/// What a duration may be written in: of all that `humantime` knows, what nobody reads otherwise.
const UNITS: [&str; 7] = ["ms", "s", "min", "m", "h", "days", "d"];

/// Reads a duration in a range, of which `usual` is the unit that whoever leaves it out is asked for.
fn read_span(raw: &Raw<'_>, range: &RangeInclusive<Duration>, usual: &str) -> Result<Duration, Vec<Mistake>> {
    let text = raw.get_ref().as_str().map(str::trim);
    let digits = text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    if let Some(number) = integer(raw).or_else(|| digits?.parse().ok()) {
        let with_unit = format!("{number}{usual}");
        return Err(match duration(&with_unit, usual) {
            Ok(value) if range.contains(&value) => {
                one(raw, "a duration needs a unit", format!("write \"{with_unit}\""))
            }
            _ => out_of_range(raw, &with_unit, range, show_duration),
        });
    }
    let text = text.ok_or_else(|| wrong_type(raw, "a duration", "a string such as \"30s\", \"10min\""))?;
    let value = duration(text, usual).map_err(|text| vec![Mistake::told(raw.span(), &text)])?;
    within(raw, value, range, show_duration)
}

fn duration(text: &str, usual: &str) -> Result<Duration, String> {
    // humantime overflows, and panics, on what takes more digits than this
    if text.len() > 20 {
        return Err("this is no duration; write a short one such as \"1h 30min\"".to_owned());
    }
    let mut units = text.split(|c: char| !c.is_alphabetic()).filter(|unit| !unit.is_empty());
    match units.find(|unit| *unit != usual && !UNITS.contains(unit)) {
        Some(unit) if text.starts_with(|c: char| c.is_ascii_digit()) => {
            let finest = if usual == "us" { "us, " } else { "" };
            Err(format!("unknown time unit `{unit}`; the units are {finest}ms, s, min or m, h, days or d"))
        }
        _ => humantime::parse_duration(text).map_err(|_| {
            format!("\"{text}\" is not a duration; write a number and a unit, as in \"30s\" or \"10min\"")
        }),
    }
}

/// The largest unit that leaves no rest, so that no duration needs two.
fn show_duration(value: &Duration) -> String {
    let millis = value.as_millis();
    match [(86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1000, "s")]
        .iter()
        .find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit))
    {
        Some((60_000, _)) if millis == 60_000 => "60s".to_owned(),
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None if millis == 0 && !value.is_zero() => humantime::format_duration(*value).to_string(),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_and_written_in_units_of_1024() {
        for (text, bytes) in [("0B", 0), ("7 B", 7), ("1KiB", 1024), ("3MiB", 3 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (bytes, text) in [(0, "0"), (1000, "1000"), (1024, "1KiB"), (3 << 20, "3MiB"), (1 << 31, "2GiB")] {
            assert_eq!(show_size(bytes), text);
        }
        for text in ["", "B", "KiB", "1.5MiB", "64k", "64 kib", "1TiB", "-1B", "0x10B", "é", "1é"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size(&format!("{}GiB", "9".repeat(99))), Ok(i128::MAX));
    }

    #[test]
    fn a_duration_is_written_so_that_it_reads_the_same() {
        for millis in [0, 1, 999, 1000, 1500, 60_000, 61_000, 600_000, 3_600_000, 86_400_000, 90_000_000] {
            let value = Duration::from_millis(millis);
            assert_eq!(duration(&show_duration(&value), "s"), Ok(value), "{millis}");
        }
        assert_eq!(show_duration(&Duration::from_micros(500)), "500us");
        assert_eq!(duration("1h 30min", "s"), Ok(Duration::from_secs(5400)));
    }
}
