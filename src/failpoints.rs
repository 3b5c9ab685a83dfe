//! Places where faults can be ordered, by name: a call that fails, a panic, a stall.
//!
//! They exist only in a build with the feature `failpoints`, which is for tests and never for use; in any other
//! they are nothing. What is ordered where is the business of the crate `fail`: `FAILPOINTS=accept=return(9)`
//! in the environment of a daemon, `fail::cfg` in a test.

/// A place of this name; where a fault has a number, as that of a failed call, `number` is it and `result`
/// what is returned instead of going on.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        ::fail::fail_point!($name);
    };
    ($name:literal, |$number:pat_param| $result:expr) => {
        #[cfg(feature = "failpoints")]
        ::fail::fail_point!($name, |argument: Option<String>| {
            let $number = $crate::failpoints::number(argument);
            $result
        });
    };
}

/// The number that was ordered with a fault; 0, if none was.
#[cfg(feature = "failpoints")]
pub(crate) fn number(argument: Option<String>) -> i32 {
    argument.and_then(|argument| argument.parse().ok()).unwrap_or(0)
}

/// Orders faults as `orders` say, `NAME=ACTIONS` behind each other with semicolons between them.
///
/// # Errors
///
/// What of it is no order.
#[cfg(feature = "failpoints")]
pub fn order(orders: &str) -> Result<(), String> {
    for order in orders.split(';').map(str::trim).filter(|order| !order.is_empty()) {
        let (name, actions) = order.split_once('=').ok_or_else(|| order.to_owned())?;
        fail::cfg(name, actions).map_err(|error| format!("{order}: {error}"))?;
    }
    Ok(())
}
